"""The control lane of a node: brings records from the stream to the store, past the threads' turns, and tells of them.

A record is asked about at gates 1 and 2 and takes effect in one transaction, whatever its thread's turn is doing; the
store says where. Who asked for it, here or on another node, and whoever has to act on it, hears of it once it is
durable.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

from relmachine.errors import Code, RelmError
from relmachine.hosts.lane_heard import HeardEffects, Listener
from relmachine.hosts.lane_taking import Taking
from relmachine.hosts.lane_telling import SentListener, Telling
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.lane import Effect, policy_step
from relmachine.kernel.thread_token import check_thread
from relmachine.kernel.verdicts import GateName, Refusal, Refused
from relmachine.store.lane import first_of_key
from relmachine.store.lane_taking import EFFECTS_PER_THREAD_MAX, takes_hold
from relmachine.store.port import LANE_RECORDS_MAX
from relmachine.stream.delivery import NOT_DELIVERED, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relmachine.gates.lane_shape import LaneShape
    from relmachine.gates.port import PolicyGate
    from relmachine.hosts.lane_port import Records
    from relmachine.machine.plan import Plan
    from relmachine.store.port import LaneStore

OWN_RECORDS_MAX = 1_000
"""Records published here that wait to be taken; beyond it they are taken when the stream delivers them."""


class ControlLane:
    """Takes records, from `run` until it is cancelled, and asks for others. Everything in one event loop.

    With `takes` False it takes none itself: a process of its own does.
    """

    def __init__(
        self,
        plan: Plan,
        records: Records,
        store: LaneStore,
        shape: LaneShape,
        policy: PolicyGate,
        *,
        takes: bool = True,
    ) -> None:
        self._records, self._store, self._shape, self._policy = records, store, shape, policy
        self._heard, self._telling = HeardEffects(records, store), Telling(records.feeds, store)
        self._taking = Taking(plan, records, store, shape, policy, self._heard.knows)
        self._takes, self._one_batch = takes, asyncio.Lock()
        self._own: asyncio.Queue[Step] = asyncio.Queue(OWN_RECORDS_MAX)

    @property
    def on_effect(self) -> list[Listener]:
        """Called in the lane's loop with each effect of the node's store, whichever node took it."""
        return self._heard.listeners

    @property
    def on_sent(self) -> list[SentListener]:
        """Called in the lane's loop with messages of effects that left: sent here, or, where a process of its own sends
        them, heard of on the feed."""
        return self._telling.listeners if self._takes else self._heard.on_left

    async def run(self) -> None:
        """Work until cancelled. Errors: `unreachable` when the stream is given up."""
        try:
            await self._work()
        except BaseExceptionGroup as errors:  # the first is why the others ended
            raise errors.exceptions[0] from None

    async def control(self, thread: str, body: bytes, seconds: float) -> Effect | Refused | int:
        """Put a record on the lane and wait up to `seconds` for its effect; the sequence when it takes longer.

        What gates 1 and 2 refuse here leaves no trace; a record under the key of an earlier one has its effect.
        Errors: `thread_name_invalid`, `payload_too_large`, `unreachable`; `not_found` for a thread on which nothing was
        ever published; `limit_exceeded` where a thread was told so much that the record would leave no trace.
        """
        check_thread(thread, self._shape.limits)
        candidate = self._shape.check(Message(0, thread, "", body))
        if isinstance(candidate, Refused):
            return candidate
        (denied,) = await self._policy.decide([candidate])
        if denied is not None:
            return Refused(candidate, denied)
        with self._store.expecting() if self._takes else nullcontext():
            return await self._bring(candidate, body, seconds)

    async def _bring(self, candidate: Candidate, body: bytes, seconds: float) -> Effect | Refused | int:
        thread = candidate.thread
        known, told, first = await first_of_key(self._store, thread, candidate.step_key)
        if first is not None:
            return _recalled(candidate, first)
        if told >= EFFECTS_PER_THREAD_MAX:
            await self._check_takes_hold(candidate, told)
        if not known and not await self._records.has_steps(thread):
            sentence = f"nothing was ever published on {thread!r}: `relm thread list` shows the threads there are"
            raise RelmError(Code.NOT_FOUND, sentence, thread=thread)
        sequence = (await self._records.publish(thread, body)).sequence
        if self._takes and not self._own.full():
            self._own.put_nowait(Step(Message(sequence, thread, "", body), NOT_DELIVERED))
        effect = await self._heard.effect(thread, sequence, seconds)
        return sequence if effect is None else effect

    async def _check_takes_hold(self, candidate: Candidate, told: int) -> None:
        record = candidate.step.removeprefix("_")
        if not await takes_hold(self._store, candidate.thread, record, candidate.payload):
            sentence = (
                "this thread was told so much that only what stops it or ends its pause still takes hold: fork it"
            )
            bounds = {"effects": told, "effects_per_thread_max": EFFECTS_PER_THREAD_MAX}
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, thread=candidate.thread, **bounds)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heard.listen(), name="effects heard")
            if not self._takes:
                return
            group.create_task(self._telling.run(), name="effects told")
            group.create_task(self._take_own(), name="own records")
            async for batch in self._records.batches():
                for start in range(0, len(batch), LANE_RECORDS_MAX):
                    await self._take(batch[start : start + LANE_RECORDS_MAX])

    async def _take_own(self) -> None:
        """What was published here is taken before the stream delivers it, behind so many steps. It is done then."""
        while True:
            batch = [await self._own.get()]
            while len(batch) < LANE_RECORDS_MAX and not self._own.empty():
                batch.append(self._own.get_nowait())
            await self._take(batch)

    async def _take(self, batch: Sequence[Step]) -> None:
        async with self._one_batch:
            effects = await self._taking.take(batch)
            for effect in effects:
                self._heard.hear(effect)
        self._telling.tell({effect.thread for effect in effects})


def _recalled(candidate: Candidate, first: Effect) -> Effect | Refused:
    """What a record is whose key was there before."""
    if (policy_step(first.record), first.payload) == (candidate.step, candidate.payload):
        return first._replace(outcome="repeated")
    sentence = "give a new request a new id: this (source, id) already belongs to another one"
    witness = {"step_key": candidate.step_key, "first_sequence": first.control_seq, "first_step": first.record}
    return Refused(candidate, Refusal(Code.ID_CONFLICT, GateName.SHAPE, sentence, witness), keyed=False)
