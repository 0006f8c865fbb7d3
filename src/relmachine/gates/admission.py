"""Gate 3, admission: one solve of `constraints/admission.lp` decides the steps of many threads.

The program decides; this module writes its facts, reads its violations, and puts them into words and witnesses.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

from clingo import Control

from relmachine.errors import Code
from relmachine.gates.admission_facts import FactWriter, step_claims
from relmachine.gates.constraint_programs import program_text
from relmachine.gates.port import LawCase
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.plan import Plan, Reducer, StepPlan

_WITNESS = {
    Code.REQUIRES: "not_effective",
    Code.CONTEST_ABSENT: "never_asserted",
    Code.VETO_TOO_LATE: "final",
    Code.ONCE: "once",
}
"""Member of the witness for each law. A refusal has the code of the first one violated, and the witness of all."""

_VIOLATION = re.compile(r"violation\((\w+),(\d+),(\d+)\)")

_Violations = Mapping[Code, Sequence[str]]
"""For each violated law the claims or fields that show it, sorted."""


class AdmissionGate:
    """Decides what each step needs of its thread's history. Stateless: the same cases give the same verdicts."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        ordered = sorted(name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE)
        self._fields = {name: number for number, name in enumerate(ordered)}
        self._field_names = ordered
        self._claims_by_step = {step.name: step_claims(plan, step) for step in plan.steps}

    async def admit(self, cases: Sequence[LawCase]) -> Sequence[Sequence[Refusal | None]]:
        """For each case, one verdict for each step; None for admitted and for withdrawn steps.

        One solve for all cases, in a worker thread: clingo lets go of the interpreter's lock while it works.
        """
        return await asyncio.to_thread(self.decide, cases)

    def decide(self, cases: Sequence[LawCase]) -> Sequence[Sequence[Refusal | None]]:
        """`admit`, in the calling thread."""
        writer = FactWriter(self._claims_by_step, self._fields)
        starts = [writer.case(case) for case in cases]
        found = self._violations(_solve(writer.text()))
        return [self._verdicts(case, start, found) for case, start in zip(cases, starts, strict=True)]

    def _violations(self, atoms: str) -> Mapping[int, _Violations]:
        """By the step's number."""
        found: defaultdict[int, defaultdict[Code, set[str]]] = defaultdict(lambda: defaultdict(set))
        for law, number, witness in _VIOLATION.findall(atoms):
            code = Code(law)
            place = int(witness)
            name = self._field_names[place] if code is Code.ONCE else self._plan.claims[place].name
            found[int(number)][code].add(name)
        return {number: {code: sorted(names) for code, names in laws.items()} for number, laws in found.items()}

    def _verdicts(self, case: LawCase, start: int, found: Mapping[int, _Violations]) -> Sequence[Refusal | None]:
        values = dict(case.state.values)
        verdicts: list[Refusal | None] = []
        for number, candidate, offered in zip(
            range(start + 1, start + 1 + len(case.steps)), case.steps, case.once_values, strict=True
        ):
            violations = found.get(number)
            if violations:
                step = self._plan.steps[self._plan.step_index[candidate.step]]
                verdicts.append(self._refusal(step, violations, offered, values))
                continue
            verdicts.append(None)
            if candidate.sequence not in case.withdrawn:
                values.update(offered)
        return verdicts

    def _refusal(
        self, step: StepPlan, violations: _Violations, offered: Mapping[str, str], values: Mapping[str, str]
    ) -> Refusal:
        witness: dict[str, object] = {_WITNESS[code]: list(names) for code, names in violations.items()}
        if Code.REQUIRES in violations:
            witness["needs"] = self._unmet(step, violations[Code.REQUIRES])
        if Code.ONCE in violations:
            witness["once"] = [
                {"field": field, "value": values[field], "offered": offered[field]} for field in violations[Code.ONCE]
            ]
        code = next(code for code in _WITNESS if code in violations)
        return Refusal(code, GateName.LAWS, _sentence(code, step.name, ", ".join(violations[code])), witness)

    def _unmet(self, step: StepPlan, names: Sequence[str]) -> list[str]:
        """The claims that the step needs itself and that rest on one of `names`."""
        missing = self._plan.claim_mask(*names)
        needed = (claim for claim in self._plan.claims if step.needs >> claim.index & 1)
        return [claim.name for claim in needed if claim.up & missing]


def _sentence(code: Code, step: str, names: str) -> str:
    match code:
        case Code.REQUIRES:
            return f"step {step!r} needs {names} to be effective before it: see to that, then publish under a new id"
        case Code.CONTEST_ABSENT:
            return f"step {step!r} contests {names}, which nobody has asserted: contest it after it has been"
        case Code.VETO_TOO_LATE:
            return f"step {step!r} vetoes what {names} rests on, and that is final: contest instead, or leave it"
        case _:
            return f"{names} is written once: send the value that is there, or leave the member out"


def _solve(facts: str) -> str:
    """The violations in the program's one answer, as text."""
    control = Control(["--warn=none"])
    control.add("base", [], _program() + facts)
    control.ground([("base", [])])
    with control.solve(yield_=True) as handle:
        answers = [str(model) for model in handle]
    assert len(answers) == 1, "the program is stratified by the steps' numbers, so it has one answer"
    return answers[0]


@cache
def _program() -> str:
    """The program without its comments: it is read anew for every batch."""
    lines = program_text("admission").splitlines()
    return "\n".join(line for line in lines if line and not line.startswith("%")) + "\n"
