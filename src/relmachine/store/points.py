"""Where in a thread a question is asked: now, at a stream sequence, or at a history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from relmachine.algebra.identity import history_id
from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.store.declaration import load_plan
from relmachine.store.port import Reads, Table
from relmachine.store.tables import Target

At = int | str | None
"""A stream sequence (what was committed up to it), a history id, or None for now."""

_PAGE_ROWS_MAX = 1000

_THREAD = "SELECT head, seq FROM threads WHERE thread = ? AND seq > 0"
_BY_SEQUENCE = """
SELECT history_id, seq FROM thread_events WHERE thread = ? AND seq <= ? ORDER BY seq DESC, place DESC LIMIT 1
"""
# A fork or a merge brings its events at once: the thread never stood at a history in between.
_BY_HISTORY = """
SELECT history_id, seq FROM thread_events te WHERE thread = ? AND history_id = ?
  AND NOT EXISTS (SELECT 1 FROM thread_events later
    WHERE later.thread = te.thread AND later.seq = te.seq AND later.place > te.place)
"""
_GENESIS = "SELECT state ->> '$.genesis' FROM threads WHERE thread = ?"
_PLAN = "SELECT declaration FROM plans ORDER BY rowid DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Point:
    """A history of a thread and the stream sequence of its last event; 0 for the empty history."""

    thread: str
    history: str
    sequence: int


async def resolve(store: Reads, thread: str, at: At = None) -> Point:
    """The point `at` of `thread`. Errors: `not_found` for an unknown thread, or a history that it never had."""
    stands = (await store.select(_THREAD, (thread,))).rows
    if not stands:
        sentence = f"no thread {thread!r} in this store: `relm thread list` shows those there are"
        raise RelmError(Code.NOT_FOUND, sentence, thread=thread)
    if isinstance(at, str):
        return await _history(store, thread, at)
    found = await store.select(_BY_SEQUENCE, (thread, stands[0][1] if at is None else at))
    for history, sequence in found.rows:
        return Point(thread, _text(history), _number(sequence))
    return Point(thread, await _empty(store, thread), 0)


async def _history(store: Reads, thread: str, history: str) -> Point:
    for found, sequence in (await store.select(_BY_HISTORY, (thread, history))).rows:
        return Point(thread, _text(found), _number(sequence))
    if history == await _empty(store, thread):
        return Point(thread, history, 0)
    sentence = (
        f"thread {thread!r} never had history {history!r}: its events name those it had; of events that a fork or a "
        "merge brought, ask the thread that they come from"
    )
    raise RelmError(Code.NOT_FOUND, sentence, thread=thread, history=history)


async def _empty(store: Reads, thread: str) -> str:
    """The empty history of the thread's genesis: a fork inherits that."""
    return history_id(_text((await store.select(_GENESIS, (thread,))).rows[0][0]), ())


async def declared(store: Reads) -> Plan:
    """The plan that the store was opened with last, without payload models and closures."""
    return load_plan(_text((await store.select(_PLAN)).rows[0][0]))


async def pages(
    store: Reads, sql: str, parameters: tuple[object, ...], start: tuple[object, ...]
) -> AsyncIterator[Table]:
    """The rows of `sql` page by page, none empty.

    Its last parameters are the key after which a page starts, which are also the first columns of its rows; `start`
    lies before all keys. A page is as long as the statement's own LIMIT.
    """
    key = start
    while True:
        page = await store.select(sql, (*parameters, *key))
        if not page.rows:
            return
        yield page
        key = page.rows[-1][: len(start)]


def page_rows(limit: int | None) -> int:
    """Rows of a page when `limit` are wanted, or all."""
    return _PAGE_ROWS_MAX if limit is None else min(limit, _PAGE_ROWS_MAX)


async def table_rows(store: Reads, target: Target, where: str = "1", *parameters: object) -> list[tuple[object, ...]]:
    """All rows of a table in the order of its columns, as one value: not bounded by the rows of an answer."""
    sql = f"SELECT json_group_array(json_array({', '.join(target.columns)})) FROM {target.name} WHERE {where}"
    text = _text((await store.select(sql, parameters)).rows[0][0])
    return sorted(tuple(row) for row in orjson.loads(text))


def _text(value: object) -> str:
    assert isinstance(value, str)
    return value


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
