"""Gate 3 asked again about stored steps, many threads in one solve: does it decide as it is stored?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import orjson

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, GateName, Refusal, Refused
from relmachine.machine.plan import Plan
from relmachine.store.verify.decided import Told, fault_at, is_cut
from relmachine.store.verify.fault import Fault, shown

Verdicts = Mapping[tuple[str, int], Refusal | None]
"""By thread and sequence: None for an admitted step. Absent are steps that admission did not decide."""


@dataclass(frozen=True, slots=True)
class AdmissionAgain:
    """Decides stored steps once more. One that another gate refused changed nothing, so it is left out."""

    plan: Plan
    gate: AdmissionGate

    async def verdicts(self, steps: Sequence[Told], standing: ThreadState | None) -> Verdicts:
        """The verdicts on `steps`, which come thread by thread, each in subject order.

        `standing` is where the first step's thread stands before it, None when it begins there. Of a thread nothing is
        asked from the first step on whose rows do not tell what was decided.
        """
        keys: list[tuple[str, int]] = []
        cases: list[LawCase] = []
        for thread, group in groupby(steps, key=_thread):
            known = standing is not None and standing.thread == thread
            case = _case(standing if known and standing else initial_state(self.plan, thread), group)
            cases.append(case)
            keys += [(thread, candidate.sequence) for candidate in case.steps]
        answers = await self.gate.admit(cases)
        return dict(zip(keys, (verdict for answer in answers for verdict in answer), strict=True))


def agreed(item: Told, decided: Admitted | Refused, verdict: Refusal | None) -> Admitted | Refused | Fault:
    """What the turn must have decided of a step that admission decides, given its verdict now."""
    step = item.step
    if isinstance(decided, Admitted):
        if verdict is None:
            return decided
        event, computed = shown(step.event["event_id"]), shown(f"{verdict.code}: {verdict.sentence}")
        return Fault(
            step.thread,
            step.sequence,
            event,
            f"gate {GateName.LAWS} does not admit the event",
            "committed",
            computed,
            verdict.code,
            verdict.sentence,
        )
    if verdict is None:
        return fault_at(step, f"gate {GateName.LAWS} admits the step", f"refused: {decided.refusal.code}", "admitted")
    # The solver names violations in any order, and a witness that was cut cannot be compared.
    stored = decided.refusal.witness
    same = is_cut(stored) or orjson.loads(orjson.dumps(dict(verdict.witness))) == stored
    return replace(decided, refusal=replace(verdict, witness=stored) if same else verdict)


def _thread(item: Told) -> str:
    return item.step.thread


def _case(state: ThreadState, steps: Iterable[Told]) -> LawCase:
    asked: list[Admitted | Refused] = []
    once: list[Mapping[str, str]] = []
    for item in steps:
        if isinstance(item.decided, Fault):
            break
        if item.by_admission:
            asked.append(item.decided)
            once.append(item.once)
    return LawCase(state, [decided.candidate for decided in asked], once)
