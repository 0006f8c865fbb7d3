"""A machine whose steps may come too early, and a workshop that delivers what its turns put out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import orjson
from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.kernel.control import RELEASE
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.outcomes import outcome_at
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.unit.forks.workshop import MemoryStream
from tests.unit.runs.incident import Asked, decide


class Empty(BaseModel):
    """No members."""


def machine() -> Machine:
    """A request is received and checked, then granted; checks and grants may come before what they need."""
    made = Machine("desk")
    made.claim("received")
    made.claim("checked", requires=["received"])
    made.claim("granted", requires=["checked"])
    made.claim("paid")
    made.field("officer", str, reducer="once")
    made.field("noted", int, reducer="sum")
    made.field("seen", int, reducer="max")
    made.step("receive", kind="process", asserts=["received"])
    made.step("withdraw", kind="process", contests=["received"])
    made.step("forbid", kind="process", vetoes=["paid"])
    made.step("pay", kind="process", asserts=["paid"])
    made.step("note", kind="process", writes={"noted": "noted"})
    made.step(
        "check", kind="process", asserts=["checked"], writes={"officer": "who"}, on_missing="defer", hold_seconds=60
    )

    @made.process(asserts=["granted"], reads=["noted", "paid"], writes=["seen"], targets=["note"], on_missing="defer")
    def grant(step: Empty, view: View) -> Section:
        return Section({"seen": int(cast(int, view.get("noted", 0)))}, propose=[("note", {"noted": 1})])

    @made.process(asserts=["paid"], reads=["received"], on_missing="defer", name="fail")
    def fail(step: Empty, view: View) -> Section:
        raise ValueError("no")

    return made


class Desk(Asked):
    """A workshop that publishes what leaves by the outbox, when it is told to."""

    def __init__(
        self, plan: Plan, store: SqliteStore, limits: Limits | None = None, stream: MemoryStream | None = None
    ) -> None:
        super().__init__(plan, store, stream, limits)
        self.left: set[tuple[str, int]] = set()

    async def deliver(self, thread: str = "t") -> list[int]:
        """Publish the steps that turns put out since the last time; returns their sequences."""
        found: list[int] = []
        for row in await self.table(
            "SELECT seq, body FROM outbox WHERE kind = 'step' AND thread = ? ORDER BY seq", thread
        ):
            place = (thread, cast(int, row["seq"]))
            if place not in self.left:
                self.left.add(place)
                bodies = orjson.loads(str(row["body"]))
                found += [self.stream.publish(thread, body["type"], orjson.dumps(body)) for body in bodies]
        return found

    def release(self, thread: str, held: int, key: str | None = None, *, expired: bool = False) -> int:
        """Publish a release by hand."""
        self._ids += 1
        data = {"held": held, "expired": expired}
        body = Envelope(id=key or f"release-{self._ids}", source="relm:held", type=RELEASE, data=data).wire()
        return self.stream.publish(thread, RELEASE, body)

    async def found(self, sequence: int, thread: str = "t") -> tuple[object, object]:
        """The outcome of a sequence and where it was told, or its code when it was refused."""
        outcome = await outcome_at(self.store, thread, sequence)
        assert outcome is not None
        return outcome["outcome"], outcome.get("code", outcome["sequence"])

    async def decide(self, thread: str = "t") -> None:
        """Take turns until everything on the stream is decided."""
        await decide(self, thread)

    async def run_out(self, thread: str = "t") -> None:
        """Take turns and deliver until nothing leaves any more."""
        await self.decide(thread)
        while await self.deliver(thread):
            await self.decide(thread)


def on_store(folder: Path, work: Callable[[Desk], Awaitable[None]], limits: Limits | None = None) -> None:
    """`work` on a new store, which is verified afterwards."""

    async def run() -> None:
        plan = machine().plan()
        store = SqliteStore.open(folder / "store.db", plan)
        try:
            await work(Desk(plan, store, limits))
            report = await verify(store)
            assert report.ok, report.fault
        finally:
            await store.close()

    asyncio.run(run())
