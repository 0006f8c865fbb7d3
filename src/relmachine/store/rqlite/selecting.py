"""What people may ask of the replicated store: one query that reads, bounded in rows, seconds and bytes.

The servers themselves refuse writes here. They do not refuse several statements, pragmas or attaching; they cannot
bound rows; and a text without a statement, or with nothing but a comment after one, occupies a server for good. So the
text is looked at before it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.port import Table
from relmachine.store.rqlite.answers import Refused
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.level import Level
from relmachine.store.statement import reading, refusal

_EXPLAINING = "EXPLAIN"
OUT_OF_TIME = frozenset(("query timeout", "interrupted", "context deadline exceeded"))
"""How the servers say that a query took too long."""


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
        if answer.detail in OUT_OF_TIME:
            sentence = f"the query takes more than {limits.query_seconds_max:g} s: ask for less"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_seconds_max=limits.query_seconds_max)
        raise refusal(sql, answer.detail)
    table = answer.tables[0]
    if len(table.rows) > limits.query_rows_max:
        sentence = f"the answer has more than {limits.query_rows_max} rows: add a LIMIT or a WHERE"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_rows_max=limits.query_rows_max)
    return table


def bounded(sql: str, rows_max: int) -> str:
    """The one query in `sql`, asking for at most one row more than `rows_max`. Errors: `query_refused`."""
    query = reading(sql)
    if query.verb == _EXPLAINING:
        return query.text
    return f"SELECT * FROM (\n{query.text}\n) LIMIT {rows_max + 1}"


def _sendable(sql: str, parameters: Sequence[object]) -> tuple[object, ...]:
    """`parameters`, when the servers take them for what they are: an object would become named parameters."""
    for parameter in parameters:
        if parameter is not None and not isinstance(parameter, str | int | float):
            raise refusal(sql, f"a parameter of type {type(parameter).__name__}")
    try:
        orjson.dumps([sql, *parameters])
    except TypeError as error:
        raise refusal(sql, str(error)) from error
    return tuple(parameters)
