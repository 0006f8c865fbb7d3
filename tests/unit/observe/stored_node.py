"""A node without a stream: it decides what is submitted at once, by gate 1 alone, into a real SQLite store."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from relmachine.errors import Code, RelmError
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, Decided, Refused, Repeated
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.observe.lag import LISTED, InHand, Lag, Lane, ThreadLag
from relmachine.observe.port import Accepted
from relmachine.store import reading
from relmachine.store.sqlite import SqliteStore

T = TypeVar("T")


def permit() -> Machine:
    """A small machine with a judgement, a contest, a union and an exact value."""
    machine = Machine("permit")
    received = machine.claim("received")
    checked = machine.claim("checked", requires=[received])
    noted = machine.claim("noted", requires=[received])
    machine.field("officers", "string", reducer="union")
    machine.field("checked_by", "string", reducer="once")
    machine.step("receive", kind="process", asserts=[received], writes={"officers": "officer"})
    machine.step("check", kind="process", asserts=[checked], writes={"officers": "officer", "checked_by": "officer"})
    machine.step("note", kind="derivation", asserts=[noted], writes={"officers": "officer"})
    machine.step("reopen", kind="process", contests=[checked])
    return machine


def event(step: str, id: str, **data: object) -> bytes:
    """A CloudEvent."""
    return json.dumps({"specversion": "1.0", "source": "test", "id": id, "type": step, "data": data}).encode()


class StoredNode:
    """Implements `NodeView`. With `deaf`, it accepts steps and never decides them; `shut`, it accepts none; `crowded`,
    nobody can wait; `silent`, its stream does not answer. Its lag is made up.
    """

    def __init__(self, plan: Plan, store: SqliteStore) -> None:
        self.plan, self.store = plan, store
        self.phase, self.deaf, self.sequence = "READY", False, 0
        self.silent = self.shut = self.crowded = False
        self.outcomes: dict[tuple[str, int], Mapping[str, object]] = {}

    def status(self) -> Mapping[str, object]:
        return {"phase": self.phase, "machine": self.plan.machine, "version": self.plan.version, "waiting": 0}

    async def lag(self, threads: Sequence[str] = (), limit: int = LISTED) -> Lag:
        if self.silent:
            raise RelmError(Code.UNREACHABLE, "start the stream")
        lines = [ThreadLag(f"slow-{n}", f"slow-{n}", 3, 17, 4, 5, 61.5) for n in range(2)]
        named = [ThreadLag(thread, thread, 9, 9, 0, None, None) for thread in threads]
        lanes = [
            Lane("steps", 17, 6, 2, 4, 5, 61.5),
            Lane("journal", 9, 1, None, None, 5, 61.5),
            Lane("out", 8, None, None, None, None, None),
        ]
        return Lag(InHand(4, 1, 0, 7, 100, 3), lanes, named or lines[:limit])

    @contextlib.asynccontextmanager
    async def entering(self) -> AsyncIterator[None]:
        if self.shut:
            raise RelmError(Code.OVERLOADED, "come again", undecided_steps_max=100, retry_after_seconds=1)
        yield

    async def submit(self, thread: str, bodies: Sequence[bytes]) -> Sequence[Accepted | Refused]:
        return [await self._one(thread, body) for body in bodies]

    async def outcome(self, thread: str, sequence: int, seconds: float) -> Mapping[str, object] | None:
        if self.crowded:
            raise RelmError(Code.OVERLOADED, "come again", outcome_waits_max=0, retry_after_seconds=1)
        known = self.outcomes.get((thread, sequence))
        return known or await reading.outcome_at(self.store, thread, sequence)

    async def decide(self, thread: str, *bodies: bytes) -> int:
        """Let one turn of the thread decide `bodies`, as if they had come past the interface; the last sequence."""
        decided = [await self._decided(thread, body) for body in bodies]
        state = (await self.store.states([thread])).get(thread) or initial_state(self.plan, thread)
        await self.store.commit([advance(self.plan, state, decided)])
        return self.sequence

    async def _decided(self, thread: str, body: bytes) -> Decided:
        self.sequence += 1
        item = ShapeGate(self.plan, Limits()).check(Message(self.sequence, thread, orjson.loads(body)["type"], body))
        if isinstance(item, Refused):
            return item
        known = (await self.store.receipts([(thread, item.step_key)])).get((thread, item.step_key))
        if known is None:
            return Admitted(item, item.recorded)
        self.outcomes[thread, self.sequence] = {
            "outcome": "repeated",
            "sequence": known.sequence,
            "key": known.step_key,
        }
        return Repeated(item, known.sequence)

    async def _one(self, thread: str, body: bytes) -> Accepted | Refused:
        item = ShapeGate(self.plan, Limits()).check(Message(0, thread, _token(self.plan, body), body))
        if isinstance(item, Refused):
            return item
        if self.deaf:
            self.sequence += 1
            return Accepted(thread, self.sequence, duplicate=False)
        return Accepted(thread, await self.decide(thread, body), duplicate=False)


@contextlib.asynccontextmanager
async def stored_node(folder: Path) -> AsyncIterator[StoredNode]:
    """A node whose thread `case-1` holds receive, note, check, reopen, check."""
    plan = permit().plan()
    store = SqliteStore.open(folder / "store.db", plan)
    try:
        node = StoredNode(plan, store)
        officers = {"receive": "Ada", "note": "Bob", "check": "Ada", "reopen": None}
        steps = enumerate(("receive", "note", "check", "reopen", "check"))
        await node.decide(
            "case-1",
            *(event(step, str(i), **({"officer": officers[step]} if officers[step] else {})) for i, step in steps),
        )
        yield node
    finally:
        await store.close()


def on_node(folder: Path, ask: Any) -> Any:
    """The result of the coroutine that `ask` makes of such a node."""

    async def run() -> Any:
        async with stored_node(folder) as node:
            return await ask(node)

    return asyncio.run(run())


def _token(plan: Plan, body: bytes) -> str:
    try:
        named = orjson.loads(body).get("type")
    except (orjson.JSONDecodeError, AttributeError):
        named = None
    return named if named in plan.step_index else "_"
