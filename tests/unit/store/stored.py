"""A store on disk for unit tests, and changes made to it by somebody who removed its triggers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from relmachine.kernel.ledger import WITNESS_CHARACTERS_MAX
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import Repeated
from relmachine.store.sqlite import SqliteReading, SqliteStore, open_reading
from tests.contract.store_lane_contract import told
from tests.contract.store_turns import Desk


def filled(path: Path, limits: Limits | None = None) -> Desk:
    """A store with two threads: claims asserted, contested, vetoed; refused steps, every field written."""
    made = Desk.new()
    steps = made.steps

    async def write() -> None:
        store = SqliteStore.open(path, made.plan, limits)
        await store.commit([made.opening("a"), made.opening("b%20c", "zoe")])
        notes = made.notes("a", 3)
        decided = steps.admitted("b%20c", "decide", once="zoe")
        await store.commit(
            [
                notes,
                made.turn(
                    "b%20c",
                    decided,
                    steps.admitted("b%20c", "opine", log="doubtful", weight=0.2),
                    steps.admitted("b%20c", "adjust", union="zoe"),
                    steps.conflicting("b%20c", "decide", decided),
                ),
            ]
        )
        await store.commit([made.turn("b%20c", steps.admitted("b%20c", "doubt"), steps.refused("b%20c", "decide"))])
        await store.close()

    asyncio.run(write())
    return made


def told_things(path: Path) -> Desk:
    """`filled`, with a thread that is cancelled, one that is paused, one that was told before its first step; and
    records that were refused, repeated, or changed nothing.
    """
    made = filled(path)
    refusal = '{"code":"policy_denied","gate":"policy","sentence":"ask","witness":{}}'

    async def write() -> None:
        store = SqliteStore.open(path, made.plan)
        for asked in (
            told(made, "a", 101, "budget", tokens=5),
            told(made, "a", 102, "cancel", reason="one run", request=2),
            told(made, "a", 103, "cancel", reason="enough"),
            told(made, "a", 104, "pause", reason="late"),
            told(made, "b%20c", 105, "pause", reason="look"),
            told(made, "b%20c", 106, "pause", key='["lane","105"]', reason="look"),
            told(made, "b%20c", 107, "close", refusal=refusal, reason="no"),
            told(made, "new", 108, "close", reason="never"),
        ):
            await store.control([asked])
        made.states["a"] = (await store.states(["a"]))["a"]
        await store.commit([made.turn("a", made.steps.failed("a", "note", "cancelled"))])
        await store.close()

    asyncio.run(write())
    return made


def eventful(path: Path) -> Desk:
    """`filled`, and a third thread with every kind of row that is left out there: what nobody could read, repeats, long
    witnesses, a turn that only repeats, and a plan of another version.
    """
    made = filled(path, Limits(section_snapshot_every=3))
    steps = made.steps
    first = steps.admitted("c", "receive", union="ann", count=2, weight=0.5)
    long = "x" * WITNESS_CHARACTERS_MAX

    def repeated() -> Repeated:
        again = steps.admitted("c", "receive").candidate
        return Repeated(replace(again, step_key=first.candidate.step_key), first.candidate.sequence)

    async def write() -> None:
        store = SqliteStore.open(
            path, replace(made.plan, version="2", digest="f" * 64), Limits(section_snapshot_every=3)
        )
        made.plan = replace(made.plan, version="2", digest="f" * 64)
        await store.commit(
            [
                made.turn(
                    "c",
                    first,
                    steps.unreadable("c"),
                    repeated(),
                    steps.conflicting("c", "check", first),
                    steps.admitted("c", "check"),
                    steps.admitted("c", "decide", once=long),
                    steps.refused("c", "decide", once="other"),
                    steps.failed("c", "guess", "e" * WITNESS_CHARACTERS_MAX),
                ),
            ]
        )
        await store.commit([made.turn("c", repeated(), repeated())])
        await store.commit([made.turn("c", repeated(), steps.admitted("c", "amend", log="done", least=1))])
        await store.close()

    asyncio.run(write())
    return made


def tamper(path: Path, *statements: str) -> None:
    """Change the file beside the code, with every trigger dropped and nothing enforced."""
    connection = sqlite3.connect(path)
    try:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement
        connection.commit()
    finally:
        connection.close()


def ask(path: Path, question: Callable[[SqliteReading], Awaitable[object]]) -> object:
    """The answer to a question about the file."""

    async def answer() -> object:
        reading = open_reading(path)
        try:
            return await question(reading)
        finally:
            await reading.close()

    return asyncio.run(answer())
