"""Random laws of an author's own over random machines: each reads something else of a thread, and often refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from pydantic import BaseModel

from relmachine.errors import RelmError
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.machine.section import Section
from relmachine.machine.view import View
from tests.unit.gates.machines_at_random import FIELDS, Published, random_machine, random_thread

PRINCIPALS = ("ann", "bob")


class Offer(BaseModel):
    """Payload of computed steps."""

    value: str = "a"


def lawful_plan_and_thread(seed: int) -> tuple[Plan | None, Sequence[Published]]:
    """A machine with one to three laws of its author's own, and a thread of steps by several principals."""
    rng = Random(seed)
    machine = random_machine(rng)
    plan = _lawful(machine, rng, rng.randint(1, 3))
    return (None, ()) if plan is None else (plan, by_several(rng, plan))


def crowded_plan(seed: int) -> Plan | None:
    """A machine of few steps that are often in each other's way: by laws, `once` fields and what they compute."""
    rng = Random(seed)
    machine = Machine("crowded")
    for name, reducer in FIELDS.items():
        machine.field(name, "string", reducer=reducer)
    for claim in ("c0", "c1"):
        machine.claim(claim, requires=["c0"] if claim == "c1" and rng.random() < 0.5 else [])
    for number in range(rng.randint(4, 6)):
        writes = {field: field for field in rng.choice(["", "", "o", "o", "p", "u", "op"])}
        asserts = rng.sample(["c0", "c1"], 1) if rng.random() < 0.2 else []
        machine.step(f"act{number}", kind="process", writes=writes, asserts=asserts)
    for number in range(rng.randint(0, 2)):
        _computed(machine, rng, f"run{number}")
    one, other, third = rng.sample(sorted(machine.declaration.steps), 3)
    machine.law("barred", _law([one], [f'reads(principal,"{one}").'], 'violation :- principal(this,"ann").'))
    machine.law("alone", _law([other], [f'reads(step,"{third}").'], "violation(E) :- event(E)."))
    return _lawful(machine, rng, rng.randint(0, 2))


def _lawful(machine: Machine, rng: Random, laws: int) -> Plan | None:
    for number in range(laws):
        machine.law(f"law{number}", random_law(rng, machine))
    try:
        return machine.plan()
    except RelmError:
        return None


def by_several(rng: Random, plan: Plan) -> list[Published]:
    """A thread of steps by several principals."""
    return [replace(step, principal=rng.choice(PRINCIPALS)) for step in random_thread(rng, plan)]


def _computed(machine: Machine, rng: Random, name: str) -> None:
    one, other = rng.sample(["o", "p", "u"], 2)
    claims = rng.sample(sorted(machine.declaration.claims), 1) if rng.random() < 0.5 else []

    @machine.process(name=name, reads=[one], writes=[other], asserts=claims)
    def run(step: Offer, view: View) -> Section:
        found = view.get(one)
        if found and step.value == "b":
            raise ValueError("this and that are too much")
        return Section({other: str(found) if found else step.value})


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
    return _law(guards, reads, rules)


def _law(guards: Sequence[str], reads: Sequence[str], rules: str) -> str:
    declared = "\n".join([*(f'guards("{step}").' for step in guards), *reads])
    return f"#program declaration.\n{declared}\n#program law.\n{rules}\n"
