"""The interface: an early word to whoever publishes through this node, and the wait for the outcome.

Nothing rests on the early word: raw publishers skip it, and the thread's turn decides again. It spares the publisher a
round trip, and the stream a message that would be refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.hosts.repetition import recall
from relmachine.kernel.candidate import UNKNOWN_STEP_TOKEN, Candidate, Message
from relmachine.kernel.control import ANSWER, CLOSE, MERGE, RECORDS, RELEASE
from relmachine.kernel.follow_ups import FOLLOW_UP_SOURCE
from relmachine.kernel.thread_token import check_thread
from relmachine.kernel.verdicts import GateName, Refusal, Refused
from relmachine.node.door import RETRY_SECONDS, Door
from relmachine.observe.port import Accepted
from relmachine.store import reading
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import message_id

if TYPE_CHECKING:
    from relmachine.gates.port import PolicyGate
    from relmachine.gates.shape import ShapeGate
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store
    from relmachine.stream.nats import NatsStream


class Interface:
    """Publishes steps for others."""

    def __init__(
        self,
        plan: Plan,
        shape: ShapeGate,
        policy: PolicyGate,
        store: Store,
        stream: NatsStream,
        limits: Limits,
    ) -> None:
        self.door = Door(stream.lag.backlog, limits)
        self._plan, self._shape, self._policy = plan, shape, policy
        self._store, self._stream, self._limits = store, stream, limits
        self._waits = 0

    async def submit(self, thread: str, bodies: Sequence[bytes]) -> list[Accepted | Refused]:
        """See `NodeView.submit`. Errors: `thread_name_invalid`; `unreachable` when the stream is."""
        check_thread(thread, self._limits)
        shaped = [self._shape.check(self._message(thread, body)) for body in bodies]
        answers: dict[int, Accepted | Refused] = {
            place: item for place, item in enumerate(shaped) if isinstance(item, Refused)
        }
        for place, item in enumerate(shaped):
            if isinstance(item, Candidate) and (no := _not_for_clients(item)) is not None:
                answers[place] = no
        await self._deny(shaped, answers)
        await self._recall(thread, shaped, answers)
        left = [place for place in range(len(bodies)) if place not in answers]
        outgoing = [
            self._outgoing(thread, item, bodies[place])
            for place in left
            if isinstance(item := shaped[place], Candidate)
        ]
        for place, published in zip(left, await self._stream.publisher.publish(outgoing), strict=True):
            key = _of(shaped[place]).step_key
            answers[place] = Accepted(thread, published.sequence, published.duplicate, key)
        self.door.passed(len(left))
        return [answers[place] for place in range(len(bodies))]

    async def merge(self, target: str, source: str, close: bytes, merge: bytes) -> Accepted | Refused:
        """See `NodeView.merge`. Errors: `thread_name_invalid`; `unreachable` when the stream is."""
        records = [(source, CLOSE, close), (target, MERGE, merge)]
        shaped: list[Candidate | Refused] = []
        for thread, token, body in records:
            check_thread(thread, self._limits)
            shaped.append(self._shape.check(Message(0, thread, token, body)))
        answers: dict[int, Accepted | Refused] = {
            place: item for place, item in enumerate(shaped) if isinstance(item, Refused)
        }
        await self._deny(shaped, answers)
        if answers:
            return answers[min(answers)]
        known: dict[int, Accepted | Refused] = {}
        await self._recall(target, shaped[1:], known)
        if known:
            return known[0]
        together = [Outgoing(thread, token, body, "") for thread, token, body in records]
        published = await self._stream.publisher.publish_together(together)
        return Accepted(target, published[-1].sequence, duplicate=False, key=_of(shaped[1]).step_key)

    async def outcome(self, thread: str, sequence: int, seconds: float) -> Mapping[str, object] | None:
        """See `NodeView.outcome`."""
        most = self._limits.outcome_waits_max
        if self._waits >= most:
            sentence = "ask for the outcome again in a while: so many wait for outcomes at this node already"
            raise RelmError(Code.OVERLOADED, sentence, outcome_waits_max=most, retry_after_seconds=RETRY_SECONDS)
        self._waits += 1
        try:
            return await self._awaited(thread, sequence, seconds)
        finally:
            self._waits -= 1

    async def _awaited(self, thread: str, sequence: int, seconds: float) -> Mapping[str, object] | None:
        """Listens before it looks, so that an outcome in between is not missed. A run that is open has none yet."""
        async with self._stream.follow("journal", thread) as journal:
            recorded = await self._recorded(thread, sequence)
            try:
                async with asyncio.timeout(min(seconds, self._limits.outcome_wait_seconds_max)):
                    while not _final(recorded):
                        message = await anext(journal, None)
                        if message is None:
                            break
                        if message.sequence >= sequence:
                            recorded = await self._recorded(thread, sequence)
            except TimeoutError:
                pass  # the feed may be behind the store
        return recorded if _final(recorded) else await self._recorded(thread, sequence)

    async def _recorded(self, thread: str, sequence: int) -> Mapping[str, object] | None:
        """What the store says became of the sequence; None while it is not decided, or was no step of the thread."""
        recorded = await reading.outcome_at(self._store, thread, sequence)
        if recorded is not None or await reading.threads_behind(self._store, {thread: sequence}):
            return recorded
        return await self._repeat_at(thread, sequence)

    async def _repeat_at(self, thread: str, sequence: int) -> Mapping[str, object] | None:
        """A decided sequence without a row of its own repeated an earlier step: the stream says which key it has."""
        found = await self._stream.reader.read(thread, sequence - 1, 1)
        if not found or found[0].sequence != sequence:
            return None
        key = _of(self._shape.check(found[0])).step_key
        receipt = (await self._store.receipts([(thread, key)])).get((thread, key))
        return None if receipt is None else {"outcome": "repeated", "sequence": receipt.sequence, "key": key}

    def _message(self, thread: str, body: bytes) -> Message:
        """The message that the step would be. Its token comes from the envelope, as far as that can be read."""
        try:
            named = cast(dict[str, object], orjson.loads(body)).get("type")
        except (orjson.JSONDecodeError, AttributeError):
            named = None
        known = isinstance(named, str) and (named in self._plan.step_index or named in RECORDS)
        token = str(named) if known else UNKNOWN_STEP_TOKEN
        return Message(0, thread, token, body)

    def _outgoing(self, thread: str, candidate: Candidate, body: bytes) -> Outgoing:
        return Outgoing(thread, candidate.step, body, message_id(thread, body))

    async def _deny(self, shaped: Sequence[Candidate | Refused], answers: dict[int, Accepted | Refused]) -> None:
        places = [place for place, item in enumerate(shaped) if isinstance(item, Candidate) and place not in answers]
        asked = [item for place in places if isinstance(item := shaped[place], Candidate)]
        for place, candidate, refusal in zip(places, asked, await self._policy.decide(asked), strict=True):
            if refusal is not None:
                answers[place] = Refused(candidate, refusal)

    async def _recall(
        self, thread: str, shaped: Sequence[Candidate | Refused], answers: dict[int, Accepted | Refused]
    ) -> None:
        """Steps whose key has a receipt: the first sequence for a repeat, a conflict for another payload. A store that
        does not answer soon is not waited for: the turn tells repeats again.
        """
        left = {place: item for place, item in enumerate(shaped) if place not in answers}
        try:
            async with asyncio.timeout(self._limits.early_look_seconds_max):
                receipts = await self._store.receipts([(thread, _of(item).step_key) for item in left.values()])
        except TimeoutError:
            return
        except RelmError as error:
            if error.code is not Code.UNREACHABLE:
                raise
            return
        for place, item in left.items():
            candidate = _of(item)
            receipt = receipts.get((thread, candidate.step_key))
            if receipt is not None:
                again = recall(candidate, receipt)
                answers[place] = (
                    again
                    if isinstance(again, Refused)
                    else Accepted(thread, again.sequence, duplicate=True, key=candidate.step_key)
                )


_MERGING = (
    Code.MERGE_UNPAIRED,
    "a merge is two records next to each other: ask the node to do it (`relm thread merge`)",
)
_NODES_SAY = {
    CLOSE: _MERGING,
    MERGE: _MERGING,
    ANSWER: (Code.RUN_UNKNOWN, "a node answers for what it ran: publish the step, and wait for its outcome"),
    RELEASE: (Code.HELD_UNKNOWN, "a node releases what is held: publish what the step needs"),
}
"""Control records that nobody publishes through the interface, and what to do instead."""


def _not_for_clients(candidate: Candidate) -> Refused | None:
    if candidate.step in _NODES_SAY:
        code, sentence = _NODES_SAY[candidate.step]
        return Refused(candidate, Refusal(code, GateName.LAWS, sentence))
    source: str = orjson.loads(candidate.step_key)[0]
    if source != FOLLOW_UP_SOURCE:
        return None
    sentence = f"choose another source: steps that others proposed come from {source!r}, and nodes publish them"
    return Refused(candidate, Refusal(Code.ENVELOPE_INVALID, GateName.SHAPE, sentence, {"source": source}))


def _final(outcome: Mapping[str, object] | None) -> bool:
    return outcome is not None and outcome["outcome"] not in ("opened", "held")


def _of(item: Candidate | Refused) -> Candidate:
    return item.candidate if isinstance(item, Refused) else item
