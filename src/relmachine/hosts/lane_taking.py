"""Lane records as they come: asked about at gates 1 and 2, taken by the store, answered on the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from relmachine.errors import RelmError
from relmachine.hosts.lane_texts import evidence_text, refusal_text
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.lane import CANCEL, Asked, Cancel, Effect, policy_step
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.thread_token import thread_label
from relmachine.kernel.verdicts import Refusal, Refused
from relmachine.store.foretelling import ahead
from relmachine.stream.delivery import NOT_DELIVERED

if TYPE_CHECKING:
    from relmachine.gates.lane_shape import LaneShape
    from relmachine.gates.port import PolicyGate
    from relmachine.hosts.lane_port import Records
    from relmachine.machine.plan import Plan
    from relmachine.store.port import LaneStore
    from relmachine.stream.delivery import Step

_log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.25
"""Pause after the lane could not work."""


class Taking:
    """Takes batches of records. Those that are `known` to have taken effect are done."""

    def __init__(
        self,
        plan: Plan,
        records: Records,
        store: LaneStore,
        shape: LaneShape,
        policy: PolicyGate,
        known: Callable[[str, int], bool],
    ) -> None:
        self._plan, self._records, self._store = plan, records, store
        self._shape, self._policy, self._known = shape, policy, known

    async def take(self, batch: Sequence[Step]) -> Sequence[Effect]:
        """Let a batch take effect; what cannot be done now comes again. Returns the effects, which are durable."""
        try:
            asked = await self._asked([step for step in batch if not self._known(*_place(step))])
            effects = list(await self._store.control(asked))
            waiting = await self._waiting(asked, effects)
        except (RelmError, OSError) as error:
            _log.warning("control records wait, the store or the policy is away", records=len(batch), error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)
            await self._records.again(_delivered(batch))
            return ()
        delivered = _delivered(batch)
        await self._records.again([step for step in delivered if _place(step) in waiting])
        await self._records.done([step for step in delivered if _place(step) not in waiting])
        return effects

    async def _waiting(self, asked: Sequence[Asked], effects: list[Effect]) -> set[tuple[str, int]]:
        """Records that come again: their thread has yet to come to what an earlier store was told. Adds the effects of
        those whose thread has come to it just now; what had none then leaves no trace.
        """
        found = {effect[:2] for effect in effects}
        without = [one for one in asked if (one.thread, one.sequence) not in found]
        if not without:
            return set()
        foretold = await ahead(self._store, {one.thread for one in without})
        behind = {thread for thread, _ in foretold}
        effects += await self._store.control([one for one in without if one.thread not in behind])
        # An effect that is foretold takes hold by itself.
        return {(one.thread, one.sequence) for one in without if one.thread in behind} - foretold

    async def _asked(self, batch: Sequence[Step]) -> list[Asked]:
        shaped = [self._shape.check(step.message) for step in batch]
        verdicts = iter(await self._policy.decide([item for item in shaped if isinstance(item, Candidate)]))
        asked: list[Asked] = []
        for item in shaped:
            refusal = item.refusal if isinstance(item, Refused) else next(verdicts)
            asked.append(await self._record(item.candidate if isinstance(item, Refused) else item, refusal))
        return asked

    async def _record(self, candidate: Candidate, refusal: Refusal | None) -> Asked:
        empty = initial_state(self._plan, candidate.thread)
        return Asked(
            candidate.thread,
            candidate.sequence,
            candidate.step.removeprefix("_"),
            candidate.step_key,
            candidate.payload,
            evidence_text(candidate),
            "" if refusal is None else refusal_text(refusal),
            thread_label(candidate.thread),
            empty.head,
            dump_state(empty),
            astray=refusal is None and await self._is_astray(candidate),
        )

    async def _is_astray(self, candidate: Candidate) -> bool:
        """Whether it cancels the run of a step that was never published on the thread. Errors: `unreachable`."""
        if candidate.step != policy_step(CANCEL):
            return False
        request = Cancel.model_validate_json(candidate.payload).request
        return request is not None and not await self._records.has_step(candidate.thread, request)


def _delivered(batch: Sequence[Step]) -> Sequence[Step]:
    """Those that can be answered for."""
    return [step for step in batch if step.token != NOT_DELIVERED]


def _place(step: Step) -> tuple[str, int]:
    return step.message.thread, step.message.sequence
