"""Laws of the author's own asked again about stored steps: do they decide as it is stored?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from relmachine.errors import Code
from relmachine.gates.own_law_past import Past
from relmachine.gates.own_law_scene import Scene, Sighting, Written
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import Admitted, Refusal, Refused
from relmachine.machine.plan import Plan
from relmachine.store.port import Reads
from relmachine.store.sightings import past_read
from relmachine.store.verify.decided import Told, is_cut
from relmachine.store.verify.fault import Fault

OwnVerdicts = Mapping[tuple[str, int], Refusal | None]
"""By thread and sequence. Absent are steps that no such law guards, or that cannot be asked about again."""


class OwnLawsAgain:
    """Judges stored steps once more, threads one after the other, each in subject order.

    Of a refused step only what its refusal kept is known (`given`), which is all that its law could look at. What a law
    may use up is the node's own decision: a `law_limit`, then or now, says nothing about what is stored.
    """

    def __init__(self, plan: Plan, limits: Limits | None = None) -> None:
        self._plan, self._limits = plan, limits or Limits()
        self._laws = OwnLaws(plan, self._limits) if plan.own_laws else None
        self._guarded = frozenset(name for law in plan.own_laws for name in law.guards)
        self._begin("")

    def close(self) -> None:
        """End the laws' process."""
        if self._laws is not None:
            self._laws.close()

    def _begin(self, thread: str) -> None:
        self._thread, self._past = thread, Past(self._plan, self._limits)
        self._asserted = self._standing = self._vetoed = 0
        self._lost = False

    async def resume(self, store: Reads, state: ThreadState) -> None:
        """A record changed the thread as a whole, to `state`: what laws see of it is read anew."""
        if self._laws is None:
            return
        self._begin(state.thread)
        self._past = await past_read(store, self._plan, self._limits, state.thread, state.cursor)
        self._asserted, self._standing, self._vetoed = state.asserted, state.standing, state.vetoed

    async def verdicts(self, steps: Sequence[Told]) -> OwnVerdicts:
        """The verdicts on `steps`, which come after those asked about before."""
        if self._laws is None:
            return {}
        keys: list[tuple[str, int]] = []
        cases: list[OwnLawCase] = []
        for item in steps:
            if item.step.thread != self._thread:
                self._begin(item.step.thread)
            case = self._case(item)
            if case is not None:
                keys.append((item.step.thread, item.step.sequence))
                cases.append(case)
        answers = zip(keys, await self._laws.judge(cases), strict=True)
        return {key: answer for key, answer in answers if answer is None or answer.code is not Code.LAW_LIMIT}

    def _case(self, item: Told) -> OwnLawCase | None:
        """What to ask about a step; an admitted one is then part of the past."""
        decided = item.decided
        self._lost = self._lost or isinstance(decided, Fault)
        if self._lost or isinstance(decided, Fault):
            return None
        if isinstance(decided, Refused):
            return self._refused(decided)
        case = self._asked(decided.candidate, decided.contributions)
        self._add(decided, str(item.step.event["event_id"]))
        return case

    def _refused(self, decided: Refused) -> OwnLawCase | None:
        witness = decided.refusal.witness
        if decided.refusal.code is not Code.LAW_BROKEN or is_cut(witness):
            return None
        given = cast("Mapping[str, object]", witness.get("given", {}))
        candidate = decided.candidate
        asked = Candidate(
            candidate.sequence,
            candidate.thread,
            candidate.step,
            candidate.step_key,
            "",
            candidate.payload_digest,
            principal=cast(str, given.get("principal", ANONYMOUS)),
        )
        return self._asked(asked, tuple(sorted(cast("Mapping[str, str]", given.get("values", {})).items())))

    def _asked(self, candidate: Candidate, written: Written) -> OwnLawCase | None:
        if candidate.step not in self._guarded:
            return None
        scene = Scene(candidate, written, tuple(self._past.events), self._asserted, self._standing, self._vetoed)
        return OwnLawCase(scene, _ids(scene.past))

    def _add(self, decided: Admitted, event: str) -> None:
        candidate = decided.candidate
        kind = self._plan.steps[self._plan.step_index[candidate.step]]
        self._past.add(Sighting(candidate.step, event, candidate.principal, decided.contributions))
        self._asserted |= kind.asserts
        self._standing = (self._standing | kind.asserts) & ~kind.contests
        self._vetoed |= kind.vetoes


def _ids(past: Sequence[Sighting]) -> Callable[[], Sequence[str]]:
    return lambda: [event.event for event in past]
