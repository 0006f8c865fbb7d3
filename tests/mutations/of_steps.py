"""Mutants of the log's threads as published: one step of another type, or with another value of a `once` field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import yaml

from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.plan import Plan
from relmachine.machine.yaml_form import parse_machine
from tests import permit
from tests.mutations import real
from tests.mutations.definitions import Broken
from tests.mutations.family import Drawn, Family

VETOES = ("checked", "stop_advice_assessed", "stop_indication_assessed", "unlicensed_created", "hold_reported")
"""Claims that others rest on; the log's machine vetoes none, so here each has a step that does."""


@dataclass(frozen=True, slots=True)
class Thread:
    """The steps of a thread."""

    name: str
    steps: tuple[Candidate, ...]


@cache
def plan() -> Plan:
    """The permit machine with steps that veto."""
    form = yaml.safe_load(permit.YAML.read_text(encoding="utf-8"))
    for claim in VETOES:
        form["steps"][f"quash_{claim}"] = {"kind": "process", "vetoes": [claim]}
    return parse_machine(yaml.safe_dump(form)).plan()


def broken(thread: Thread) -> Broken:
    """The laws that each step breaks, from the admitted steps before it alone, word by word."""
    machine, past, found = plan(), list[Candidate](), set[tuple[str, tuple[object, ...]]]()
    for step in thread.steps:
        laws = set(_broken(machine, past, step))
        found |= {(law, (step.sequence, *witness)) for law, witness in laws}
        if not laws:
            past.append(step)
    return found


def _broken(machine: Plan, past: Sequence[Candidate], step: Candidate) -> list[tuple[str, tuple[object, ...]]]:
    names = [claim.name for claim in machine.claims]
    rests = {claim.name: set(machine.claim_names(claim.up)) for claim in machine.claims}
    asserts, contests, vetoes, needs = _footprints(machine)
    before = [item.step for item in past]

    def stands(claim: str) -> bool:
        touches = [name for name in before if claim in asserts[name] | contests[name]]
        return bool(touches) and claim in asserts[touches[-1]] and not any(claim in vetoes[name] for name in before)

    asserted = {claim for name in before for claim in asserts[name]}
    final = {name for name in names if machine.stable_transfer >> machine.claim_index[name] & 1} & asserted
    needed = {claim for name in needs[step.step] for claim in rests[name]}
    found: list[tuple[str, tuple[object, ...]]] = [("requires", (name,)) for name in needed if not stands(name)]
    found += [("contest_absent", (name,)) for name in contests[step.step] if name not in asserted]
    late = {name for name in final for vetoed in vetoes[step.step] if vetoed in rests[name] - {name}}
    found += [("veto_too_late", (name,)) for name in late]
    values = {field: value for item in past for field, value in real.once_values(machine, item).items()}
    for field, value in real.once_values(machine, step).items():
        if values.get(field, value) != value:
            found.append(("once", (field, values[field], value)))
    return found


@cache
def _footprints(machine: Plan) -> tuple[Mapping[str, frozenset[str]], ...]:
    masks = ("asserts", "contests", "vetoes", "needs")
    return tuple(
        {step.name: frozenset(machine.claim_names(getattr(step, mask))) for step in machine.steps} for mask in masks
    )


def ask(mutants: Sequence[Thread]) -> list[Broken]:
    """What the admission gate says of every step."""
    machine = plan()
    cases = [real.law_case(machine, thread.name, thread.steps) for thread in mutants]
    found: list[Broken] = []
    for case, verdicts in zip(cases, AdmissionGate(machine).decide(cases), strict=True):
        told: Broken = set()
        for step, verdict in zip(case.steps, verdicts, strict=True):
            told |= {(law, (step.sequence, *witness)) for law, witness in _told(verdict)}
        found.append(told)
    return found


_WITNESS = {"requires": "not_effective", "contest_absent": "never_asserted", "veto_too_late": "final"}


def _told(verdict: Refusal | None) -> list[tuple[str, tuple[object, ...]]]:
    if verdict is None:
        return []
    witness = verdict.witness
    found: list[tuple[str, tuple[object, ...]]] = [
        (law, (name,))
        for law, key in _WITNESS.items()
        for name in witness.get(key, ())  # type: ignore[attr-defined]
    ]
    once = witness.get("once", ())
    found += [("once", (item["field"], item["value"], item["offered"])) for item in once]  # type: ignore[attr-defined]
    laws = [law for law in (Code.REQUIRES, Code.CONTEST_ABSENT, Code.VETO_TOO_LATE, Code.ONCE) if _is_told(law, found)]
    assert verdict.code is laws[0], "a refusal bears the first law's code"
    return found


def _is_told(code: Code, found: Sequence[tuple[str, object]]) -> bool:
    return any(law == code for law, _ in found)


Change = Callable[[Random, Candidate], tuple[object, Candidate]]


def families() -> list[Family[Thread]]:
    """A family for each law of admission."""
    threads = [Thread(name, tuple(steps)) for name, steps in real.threads().items() if len(steps) >= 2]
    every = [step.name for step in plan().steps]
    contests = [step.name for step in plan().steps if step.contests]
    vetoes = [step.name for step in plan().steps if step.vetoes]

    def of(name: str, law: str, change: Change) -> Family[Thread]:
        def draw(rng: Random) -> Drawn[Thread]:
            thread = rng.choice(threads)
            place = rng.randrange(len(thread.steps))
            how, step = change(rng, thread.steps[place])
            steps = (*thread.steps[:place], step, *thread.steps[place + 1 :])
            return Drawn(thread.name, (place, how), Thread(thread.name, steps))

        return Family(name, frozenset({law}), draw, broken, ask, lambda thread: len(thread.steps) * 50)

    def as_one_of(steps: Sequence[str]) -> Change:
        def change(rng: Random, step: Candidate) -> tuple[object, Candidate]:
            name = rng.choice(steps)
            return name, replace(step, step=name)

        return change

    def another_value(rng: Random, step: Candidate) -> tuple[object, Candidate]:
        fields = [name for name, field in plan().fields.items() if field.reducer == "once"]
        field, value = rng.choice(fields), f'"another {rng.randrange(5)}"'
        kept = [pair for pair in step.recorded if pair[0] != field]
        return (field, value), replace(step, recorded=tuple(sorted([*kept, (field, value)])))

    return [
        of("assertion without its prerequisites", "requires", as_one_of(every)),
        of("contest of what was never asserted", "contest_absent", as_one_of(contests)),
        of("veto too late", "veto_too_late", as_one_of(vetoes)),
        of("another value of a once field", "once", another_value),
    ]
