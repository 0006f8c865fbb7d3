"""What people may ask of the replicated store: one query that reads, bounded in rows, seconds and bytes.

The servers themselves refuse writes here. They do not refuse several statements, pragmas or attaching; they cannot
bound rows; and a text without a statement, or with nothing but a comment after one, occupies a server for good. So the
text is looked at before it leaves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.port import Table
from relmachine.store.rqlite.client import Level, Refused, RqliteClient

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*\])"""
    r"|(?P<word>\w+)|(?P<open>\()|(?P<close>\))|(?P<end>;)|(?P<broken>['\"`\[\0]|/\*)|(?P<other>.)",
    re.DOTALL,
)
_READING = frozenset(("SELECT", "WITH", "VALUES"))
_EXPLAINING = "EXPLAIN"
_OUT_OF_TIME = frozenset(("query timeout", "interrupted", "context deadline exceeded"))


async def select(client: RqliteClient, limits: Limits, sql: str, parameters: Sequence[object], level: Level) -> Table:
    """Run one query.

    Errors: `query_refused` for anything but one query that reads, and for one that does not run; `limit_exceeded`
    beyond `Limits.query_rows_max` rows, `Limits.query_seconds_max` seconds or `RqliteBounds.answer_bytes_max` bytes;
    `unreachable`.
    """
    statement = (bounded(sql, limits.query_rows_max), *_sendable(sql, parameters))
    answer = await client.read(
        [statement],
        level,
        seconds_max=limits.query_seconds_max,
        answer_bytes_max=client.bounds.answer_bytes_max,
    )
    if isinstance(answer, Refused):
        if answer.detail in _OUT_OF_TIME:
            sentence = f"the query takes more than {limits.query_seconds_max:g} s: ask for less"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_seconds_max=limits.query_seconds_max)
        raise _refusal(sql, answer.detail)
    table = answer.tables[0]
    if len(table.rows) > limits.query_rows_max:
        sentence = f"the answer has more than {limits.query_rows_max} rows: add a LIMIT or a WHERE"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_rows_max=limits.query_rows_max)
    return table


def bounded(sql: str, rows_max: int) -> str:
    """The one query in `sql`, asking for at most one row more than `rows_max`. Errors: `query_refused`."""
    query = single(sql)
    if query[: len(_EXPLAINING)].upper() == _EXPLAINING:
        return query
    return f"SELECT * FROM (\n{query}\n) LIMIT {rows_max + 1}"


def single(sql: str) -> str:
    """The one query in `sql`, without what stands around it. Errors: `query_refused`."""
    first, last, depth, ended = None, 0, 0, False
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "blank":
            continue
        if kind == "broken":
            raise _refusal(sql, "a quote, a bracket or a comment has no end")
        if ended:
            raise _refusal(sql, "more than one statement")
        if kind == "end":
            ended = True
            continue
        first = first or token
        last = token.end()
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            break
    if first is None:
        raise _refusal(sql, "no statement")
    if depth:
        raise _refusal(sql, "parentheses do not match")
    if first.group().upper() not in _READING | {_EXPLAINING}:
        raise _refusal(sql, f"{first.group()[:20]} is no query")
    return sql[first.start() : last]


def _sendable(sql: str, parameters: Sequence[object]) -> tuple[object, ...]:
    """`parameters`, when the servers take them for what they are: an object would become named parameters."""
    for parameter in parameters:
        if parameter is not None and not isinstance(parameter, str | int | float):
            raise _refusal(sql, f"a parameter of type {type(parameter).__name__}")
    try:
        orjson.dumps([sql, *parameters])
    except TypeError as error:
        raise _refusal(sql, str(error)) from error
    return tuple(parameters)


def _refusal(sql: str, detail: str) -> RelmError:
    return RelmError(
        Code.QUERY_REFUSED,
        "send one SELECT that SQLite understands; the store can only be read here",
        detail=detail,
        sql=sql[:200],
    )
