"""Random laws of an author's own over random machines: each reads something else of a thread, and often refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from relmachine.errors import RelmError
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Plan
from tests.unit.gates.machines_at_random import FIELDS, Published, random_machine, random_thread

PRINCIPALS = ("ann", "bob")


def lawful_plan_and_thread(seed: int) -> tuple[Plan | None, Sequence[Published]]:
    """A machine with one to three laws of its author's own, and a thread of steps by several principals."""
    rng = Random(seed)
    machine = random_machine(rng)
    for number in range(rng.randint(1, 3)):
        machine.law(f"law{number}", random_law(rng, machine))
    try:
        plan = machine.plan()
    except RelmError:
        return None, ()
    return plan, [replace(step, principal=rng.choice(PRINCIPALS)) for step in random_thread(rng, plan)]


def random_law(rng: Random, machine: Machine) -> str:
    """A law that guards a step or two, made from one of a handful of patterns."""
    steps, claims = sorted(machine.declaration.steps), sorted(machine.declaration.claims)
    guards = rng.sample(steps, min(len(steps), rng.choice([1, 2])))
    one, claim, field = rng.choice(steps), rng.choice(claims), rng.choice(sorted(FIELDS))
    state = rng.choice(["asserted", "contested", "vetoed", "effective"])
    reads, rules = rng.choice(
        [
            (
                [f'reads(principal,"{step}").' for step in {*guards, one}],
                f'violation(E,P) :- principal(this,P), event(E), step(E,"{one}"), principal(E,P).',
            ),
            (
                [f'reads(step,"{one}").'],
                f'violation(N) :- N = #count {{ E : event(E), step(E,"{one}") }}, N >= {rng.randint(1, 2)}.',
            ),
            ([f'reads(field,"{field}").'], f'violation(E) :- event(E), value(E,"{field}","b").'),
            (
                [f'reads(field,"{field}").'],
                f'known(V) :- event(E), value(E,"{field}",V). '
                f'violation(V) :- value(this,"{field}",V), known(W), W != V, not known(V).',
            ),
            ([f'reads(claim,"{claim}").'], f'violation("{claim}") :- {rng.choice(["", "not "])}{state}("{claim}").'),
            (
                [f'reads(claim,"{claim}").', f'reads(step,"{one}").'],
                f"above(E) :- parent(this,E). above(E) :- above(X), parent(X,E). last(E) :- parent(this,E). "
                f'violation(E) :- last(E), step(E,"{one}"), {state}("{claim}"), above(X), X != E.',
            ),
            (
                [f'reads(claim,"{claim}").'],
                f'again(E,X) :- event(E), asserts(E,"{claim}"), event(X), contests(X,"{claim}"). '
                "violation(E,X) :- again(E,X).",
            ),
        ]
    )
    declared = "\n".join([*(f'guards("{step}").' for step in guards), *reads])
    return f"#program declaration.\n{declared}\n#program law.\n{rules}\n"
