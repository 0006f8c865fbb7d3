"""The control lane of a node: brings records from the stream to the store, past the threads' turns, and tells of them.

A record is asked about at gates 1 and 2 and takes effect in one transaction, whatever its thread's turn is doing; the
store says where. Who asked for it, here or on another node, and whoever has to act on it, hears of it once it is
durable.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, cast

import orjson
import structlog

from relmachine.errors import Code, RelmError
from relmachine.kernel.envelope import Candidate, Message
from relmachine.kernel.lane import Asked, Effect
from relmachine.kernel.proposal import OutboxRow
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.thread_token import check_thread, thread_label
from relmachine.kernel.verdicts import GateName, Refusal, Refused
from relmachine.store.lane import effect_at, first_of_key, waiting
from relmachine.store.port import LANE_RECORDS_MAX

if TYPE_CHECKING:
    from relmachine.gates.lane_shape import LaneShape
    from relmachine.gates.port import PolicyGate
    from relmachine.machine.plan import Plan
    from relmachine.store.port import LaneStore
    from relmachine.stream.delivery import Step
    from relmachine.stream.follow import FeedMessage
    from relmachine.stream.port import Feeds, Published
    from relmachine.stream.topology import FeedKind

_log = structlog.get_logger(__name__)

HEARD_MAX = 10_000
"""Effects remembered, so that one that is heard twice is told once."""

RETRY_SECONDS = 0.25
"""Pause after the lane could not work."""

Listener = Callable[[Effect], None]
"""Called once an effect is durable; must not block and must not raise."""


SentListener = Callable[[Sequence[OutboxRow]], None]
"""Called with messages of effects that left: they may be dropped from the store."""


class Following(Protocol):
    """Where feeds are followed: `stream.follow.FeedReader`."""

    def follow(self, kind: FeedKind) -> AbstractAsyncContextManager[AsyncIterator[FeedMessage]]:
        """Messages of all threads of the feed, from now on."""
        ...


class Records(Protocol):
    """The lane's own stream: `stream.lane.LaneStream`."""

    @property
    def feeds(self) -> Feeds:
        """Writes effects."""
        ...

    @property
    def feed_reader(self) -> Following:
        """Hears effects."""
        ...

    async def publish(self, thread: str, body: bytes) -> Published:
        """Put a record on the lane."""
        ...

    async def has_steps(self, thread: str) -> bool:
        """Whether anything was ever published on the thread."""
        ...

    def batches(self) -> AsyncIterator[Sequence[Step]]:
        """Records, oldest first."""
        ...

    async def done(self, records: Sequence[Step]) -> None:
        """Their effects are durable."""
        ...

    async def again(self, records: Sequence[Step]) -> None:
        """Hand back."""
        ...


class ControlLane:
    """Takes records, from `run` until it is cancelled, and asks for others. Everything in one event loop.

    `on_effect` are called in that loop with each effect of the node's store, whichever node took it. With `takes`
    False it takes none itself: a process of its own does.
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
        self.on_effect: list[Listener] = []
        self.on_sent: list[SentListener] = []
        self._plan, self._records, self._store = plan, records, store
        self._shape, self._policy, self._takes = shape, policy, takes
        self._heard: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._awaited: dict[tuple[str, int], list[asyncio.Future[Effect]]] = {}
        self._untold: set[str] = set()
        self._tell = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. Errors: `unreachable` when the stream is given up."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="effects heard")
            if not self._takes:
                return
            group.create_task(self._announce(), name="effects told")
            async for batch in self._records.batches():
                for start in range(0, len(batch), LANE_RECORDS_MAX):
                    await self._take(batch[start : start + LANE_RECORDS_MAX])

    async def control(self, thread: str, body: bytes, seconds: float) -> Effect | Refused | int:
        """Put a record on the lane and wait up to `seconds` for its effect; the sequence when it takes longer.

        What gates 1 and 2 refuse here leaves no trace; a record under the key of an earlier one has its effect.
        Errors: `thread_name_invalid`, `payload_too_large`, `unreachable`; `not_found` for a thread on which nothing was
        ever published.
        """
        check_thread(thread, self._shape.limits)
        candidate = self._shape.check(Message(0, thread, "", body))
        if isinstance(candidate, Refused):
            return candidate
        (denied,) = await self._policy.decide([candidate])
        if denied is not None:
            return Refused(candidate, denied)
        known, first = await first_of_key(self._store, thread, candidate.step_key)
        if first is not None:
            return _recalled(candidate, first)
        if not known and not await self._records.has_steps(thread):
            sentence = f"nothing was ever published on {thread!r}: `relm thread list` shows the threads there are"
            raise RelmError(Code.NOT_FOUND, sentence, thread=thread)
        sequence = (await self._records.publish(thread, body)).sequence
        return await self._awaited_effect(thread, sequence, seconds)

    async def _awaited_effect(self, thread: str, sequence: int, seconds: float) -> Effect | int:
        """Listens before it looks, so that an effect in between is not missed."""
        place = (thread, sequence)
        future: asyncio.Future[Effect] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(place, []).append(future)
        try:
            if place in self._heard and (known := await effect_at(self._store, thread, sequence)) is not None:
                return known
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            known = await effect_at(self._store, thread, sequence)
            return sequence if known is None else known
        finally:
            waiting = self._awaited.get(place, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._awaited.pop(place, None)

    async def _take(self, batch: Sequence[Step]) -> None:
        """Let a batch take effect; what cannot be done now comes again."""
        try:
            effects = await self._store.control(await self._asked(batch))
        except (RelmError, OSError) as error:
            _log.warning("control records wait, the store or the policy is away", records=len(batch), error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)
            await self._records.again(batch)
            return
        for effect in effects:
            self._hear(effect)
        await self._records.done(batch)
        self._untold.update(effect.thread for effect in effects)
        self._tell.set()

    async def _asked(self, batch: Sequence[Step]) -> list[Asked]:
        shaped = [self._shape.check(step.message) for step in batch]
        verdicts = iter(await self._policy.decide([item for item in shaped if isinstance(item, Candidate)]))
        asked: list[Asked] = []
        for item in shaped:
            refusal = item.refusal if isinstance(item, Refused) else next(verdicts)
            asked.append(self._record(item.candidate if isinstance(item, Refused) else item, refusal))
        return asked

    def _record(self, candidate: Candidate, refusal: Refusal | None) -> Asked:
        empty = initial_state(self._plan, candidate.thread)
        evidence = {
            "principal": candidate.principal,
            "time": candidate.time,
            "traceparent": candidate.traceparent,
        }
        return Asked(
            candidate.thread,
            candidate.sequence,
            candidate.step.removeprefix("_"),
            candidate.step_key,
            candidate.payload,
            _json({name: value for name, value in evidence.items() if value is not None}),
            "" if refusal is None else refusal_text(refusal),
            thread_label(candidate.thread),
            empty.head,
            dump_state(empty),
        )

    async def _announce(self) -> None:
        """Send the effects' messages, those of other nodes on these threads before. The relay sends what fails here."""
        while True:
            await self._tell.wait()
            self._tell.clear()
            threads, self._untold = self._untold, set()
            await self._emit(threads)

    async def _emit(self, threads: set[str]) -> None:
        try:
            sent = await self._records.feeds.emit(await waiting(self._store, sorted(threads)))
        except (RelmError, OSError) as error:
            _log.info("effects leave with the other feeds", threads=len(threads), error=repr(error))
            return
        for gone in self.on_sent:
            gone(sent)

    async def _listen(self) -> None:
        """Hear what other nodes took: messages of this node's store."""
        async with self._records.feed_reader.follow("effect") as messages:
            async for message in messages:
                if message.store == self._store.store_id:
                    control = cast("dict[str, object]", orjson.loads(message.body).get("control") or {})
                    if control:
                        self._hear(effect_of(message.thread, control))

    def _hear(self, effect: Effect) -> None:
        place = (effect.thread, effect.control_seq)
        if place in self._heard:
            return
        self._heard[place] = None
        while len(self._heard) > HEARD_MAX:
            self._heard.popitem(last=False)
        for future in self._awaited.pop(place, ()):
            if not future.done():
                future.set_result(effect)
        for listener in self.on_effect:
            listener(effect)


def refusal_text(refusal: Refusal) -> str:
    """The refusal as it is stored."""
    members = {
        "code": refusal.code,
        "gate": refusal.gate,
        "sentence": refusal.sentence,
        "witness": dict(refusal.witness),
    }
    return orjson.dumps(members, default=str).decode()


def effect_of(thread: str, control: dict[str, object]) -> Effect:
    """The effect that a message of the feed tells of."""
    refusal = control["refusal"]
    return Effect(
        thread,
        cast(int, control["sequence"]),
        cast(str, control["record"]),
        cast(str, control["key"]),
        cast(int, control["at_sequence"]),
        cast(str, control["at_history"]),
        cast(int, control["epoch"]),
        _json(control["payload"]),
        _json(control["evidence"]),
        cast(str, control["outcome"]),
        "" if refusal is None else _json(refusal),
    )


def _recalled(candidate: Candidate, first: Effect) -> Effect | Refused:
    """What a record is whose key was there before."""
    if (f"_{first.record}", first.payload) == (candidate.step, candidate.payload):
        return first._replace(outcome="repeated")
    sentence = "give a new request a new id: this (source, id) already belongs to another one"
    witness = {"step_key": candidate.step_key, "first_sequence": first.control_seq, "first_step": first.record}
    return Refused(candidate, Refusal(Code.ID_CONFLICT, GateName.SHAPE, sentence, witness), keyed=False)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
