"""Whole rounds on a real store and a stream in memory: everything a node does but the network."""

from __future__ import annotations

import random
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import cast

import orjson

from relmachine.algebra.identity import hash_of
from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.own_law_process import LawProcess
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.port import PolicyGate
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.relay import Relay
from relmachine.hosts.round import Rounds
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.control import CLOSE, FORK, MERGE, RESOLVE
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.plan import Plan
from relmachine.store.port import Store


class MemoryStream:
    """The step stream, as `stream.port.Reader` reads it. Readers see it up to `visible`, all of it by default."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.threads: dict[str, list[Message]] = {}
        self.visible: int | None = None

    def publish(self, thread: str, token: str, body: bytes) -> int:
        """Append; returns the sequence."""
        message = Message(len(self.messages) + 1, thread, token, body)
        self.messages.append(message)
        self.threads.setdefault(thread, []).append(message)
        return message.sequence

    @property
    def end(self) -> int:
        """The last sequence that readers see."""
        return len(self.messages) if self.visible is None else self.visible

    async def read(self, thread: str, after: int, limit: int) -> Sequence[Message]:
        own = self.threads.get(thread, [])
        return [message for message in own if after < message.sequence <= self.end][:limit]

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        return [_bounded(await self.read(*request), bytes_max) for request in requests]

    async def read_token(self, thread: str, step_token: str, after: int, limit: int) -> Sequence[Message]:
        return [one for one in await self.read(thread, after, 10**9) if one.step_token == step_token][:limit]

    async def first_at_leader(self, requests: Sequence[tuple[str, int]]) -> Sequence[Message | None]:
        return [
            next((m for m in self.threads.get(thread, []) if m.sequence > after), None) for thread, after in requests
        ]

    async def message_at(self, sequence: int) -> Message | None:
        return self.messages[sequence - 1] if 0 < sequence <= self.end else None


def _bounded(messages: Sequence[Message], bytes_max: int | None) -> Sequence[Message]:
    """The first ones that fit together, one in any case."""
    if bytes_max is None:
        return messages
    sizes = accumulate(len(message.body) for message in messages)
    return [
        message
        for place, (message, size) in enumerate(zip(messages, sizes, strict=True))
        if not place or size <= bytes_max
    ]


class NoFeeds:
    """Keeps outbox rows in the store, where tests look at them."""

    def put(self, rows: Iterable[OutboxRow], strangers: Collection[str] = ()) -> None:
        pass

    def fall_behind(self) -> None:
        pass

    @contextmanager
    def dropping(self) -> Generator[Sequence[OutboxRow]]:
        yield ()


class Everybody:
    """A policy that allows all but what principal `nobody` does; it says which (step, thread) it was asked about."""

    revision = "everybody"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        self.asked += [(step.step, step.thread) for step in steps]
        no = Refusal(Code.POLICY_DENIED, GateName.POLICY, "ask whoever keeps the grants", {"reasons": ["principal"]})
        return [no if step.principal == "nobody" else None for step in steps]


class Workshop:
    """A machine's threads on one store and one stream. `process` judges by laws of its author's own, if it has any."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        stream: MemoryStream | None = None,
        limits: Limits | None = None,
        process: LawProcess | None = None,
    ) -> None:
        self.process = process
        self.plan, self.store, self.stream = plan, store, stream or MemoryStream()
        self.policy = Everybody()
        self.limits = limits or Limits()
        self.rounds = self.node()
        self._ids = 0

    def node(self, store: Store | None = None) -> Rounds:
        """The rounds of one more node on the same store, with caches of its own."""
        plan, limits, stream, store = self.plan, self.limits, self.stream, store or self.store
        shape, laws = ShapeGate(plan, limits), AdmissionGate(plan)
        constraints, policy = ConstraintChecker(plan, limits), cast(PolicyGate, self.policy)
        own = OwnLaws(plan, limits, self.process) if plan.own_laws else None
        gates, relay = Gates(shape, policy, laws, own, constraints), cast(Relay, NoFeeds())
        return Rounds(assemble(plan, limits, store, stream, gates, relay))

    def step(self, thread: str, step: str, key: str | None = None, **data: object) -> int:
        """Publish a step."""
        return self.stream.publish(thread, step, self.body(step, key, data))

    def body(self, kind: str, key: str | None, data: Mapping[str, object], principal: str = "ann") -> bytes:
        """An envelope under `key`, or under a new one."""
        self._ids += 1
        return Envelope(
            id=key or f"made-{self._ids}", source="test", type=kind, data=dict(data), principal=principal
        ).wire()

    def fork(self, thread: str, source: str, at: str, at_sequence: int, key: str | None = None) -> int:
        """Publish a fork of `source`."""
        data = {"source": source, "at": hash_of(at), "at_sequence": at_sequence}
        return self.stream.publish(thread, FORK, self.body(FORK, key, data))

    def merge(self, target: str, source: str, key: str | None = None, principal: str = "ann") -> int:
        """Publish the two records of a merge; returns the sequence of the second."""
        self._ids += 1
        key = key or f"merge-{self._ids}"
        self.stream.publish(source, CLOSE, self.body(CLOSE, key, {"target": target}, principal))
        return self.stream.publish(target, MERGE, self.body(MERGE, key, {"source": source}, principal))

    def resolve(self, thread: str, obstruction: str, keep: str, key: str | None = None) -> int:
        """Publish a resolution."""
        data = {"obstruction": obstruction, "keep": keep, "reason": "as agreed"}
        return self.stream.publish(thread, RESOLVE, self.body(RESOLVE, key, data))

    async def settle(self, rng: random.Random | None = None, rounds: Rounds | None = None) -> None:
        """Run rounds until every thread has decided all it has, a random part of the threads at a time."""
        last = {message.thread: message.sequence for message in self.stream.messages}
        cursors = {name: state.cursor for name, state in (await self.store.states(list(last))).items()}
        idle = 0
        while left := [thread for thread, sequence in last.items() if cursors.get(thread, 0) < sequence]:
            some = left if rng is None else rng.sample(left, rng.randint(1, len(left)))
            for start in range(0, len(some), self.limits.threads_per_round_max):
                found = await (rounds or self.rounds).run(some[start : start + self.limits.threads_per_round_max])
                moved = {name: cursor for name, cursor in found.items() if cursor > cursors.get(name, 0)}
                idle = 0 if moved else idle + 1
                cursors.update(moved)
            if idle > 200:
                raise AssertionError(f"threads wait for ever: {left[:10]}")

    async def head(self, thread: str) -> str:
        """The thread's history."""
        return (await self.store.states([thread]))[thread].head

    async def outcome(self, sequence: int) -> dict[str, object]:
        """What became of a message: its receipt's outcome, with the witness when it was refused."""
        thread = self.stream.messages[sequence - 1].thread
        for (text,) in await self.store.deciding(
            "SELECT outcome FROM receipts WHERE thread = ? AND seq = ? ORDER BY outcome ->> '$.outcome'",
            (thread, sequence),
        ):
            outcome = cast("dict[str, object]", orjson.loads(str(text)))
            for (witness,) in await self.store.deciding(
                "SELECT witness FROM rejections WHERE thread = ? AND seq = ?", (thread, sequence)
            ):
                outcome["witness"] = orjson.loads(str(witness))
            return outcome
        return {}
