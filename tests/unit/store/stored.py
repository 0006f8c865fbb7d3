"""A store on disk for unit tests, and changes made to it by somebody who removed its triggers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from relmachine.kernel.limits import Limits
from relmachine.store.sqlite import SqliteReading, SqliteStore, open_reading
from tests.contract.store_turns import Desk


def filled(path: Path, limits: Limits | None = None) -> Desk:
    """A store with two threads: claims asserted, contested, vetoed; refused steps, every field written."""
    made = Desk.new()
    steps = made.steps

    async def write() -> None:
        store = SqliteStore.open(path, made.plan, limits)
        await store.commit([made.opening("a"), made.opening("b%20c", "zoe")])
        await store.commit(
            [
                made.notes("a", 3),
                made.turn(
                    "b%20c",
                    steps.admitted("b%20c", "decide", once="zoe"),
                    steps.admitted("b%20c", "opine", log="doubtful", weight=0.2),
                    steps.admitted("b%20c", "adjust", union="zoe"),
                    steps.refused("b%20c", "decide", keyed=False),
                ),
            ]
        )
        await store.commit([made.turn("b%20c", steps.admitted("b%20c", "doubt"), steps.refused("b%20c", "check"))])
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
