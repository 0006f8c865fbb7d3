"""One statement to one server, by pyrqlite, a DB-API client for people's tools.

Five of its habits are not for a store that people administer. It puts parameters into the text itself, so that any `?`
or `:word` in a literal asks for one; it sends EXPLAIN as a write; it takes an error beside the results for an empty
answer; it sends a request up to ten times, also a write whose answer was lost; and a fetch after a write never ends.
What is below leaves these out, and gives a request a time that the server knows of.
"""

# pyrqlite has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from pyrqlite.connections import Connection
from pyrqlite.cursors import Cursor

from relmachine.errors import Code, RelmError
from relmachine.store.port import Table
from relmachine.store.rqlite.answers import Refused, Unknown, taken_apart
from relmachine.store.rqlite.level import Level


class AwayError(Exception):
    """Nobody took the request."""


class NoTellingError(Exception):
    """The request left, and no answer says what became of it."""


class SaidNoError(Exception):
    """The servers said no, in these words; nothing took effect."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one request: seconds that all of it may take, bytes of the answer, and what the server is told of besides."""

    seconds: float
    bytes_max: int
    told: Mapping[str, str] = field(default_factory=dict[str, str])


def ask(url: str, sql: str, level: Level, bounds: Bounds) -> Table:
    """The answer to a query. Errors: the three above; `limit_exceeded`."""
    with closing(_Connection(url, bounds)) as connection:
        cursor = _Cursor(connection)
        cursor.execute(sql, consistency=str(level))
        columns = tuple(str(column[0]) for column in cursor.description or ())
        return Table(columns, tuple(map(tuple, cursor.fetchall())))


def change(url: str, sql: str, bounds: Bounds) -> int:
    """Run a write in a transaction; how many rows it changed. Errors: the three above."""
    with closing(_Connection(url, bounds)) as connection:
        cursor = _Cursor(connection)
        cursor.execute(sql)
        return cursor.changed


class _Connection(Connection):
    """A connection for one request, which is sent once."""

    def __init__(self, url: str, bounds: Bounds) -> None:
        parts = urlsplit(url)
        super().__init__(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or (443 if parts.scheme == "https" else 80),
            timeout=bounds.seconds,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )
        self.bounds = bounds

    def _retry_request(self, method: str, uri: str, body: Any = None, headers: Any = None) -> http.client.HTTPResponse:
        try:
            self._connection.connect()
        except OSError as error:
            raise AwayError(str(error)) from error
        try:
            self._connection.request(method, uri, body=body, headers={**self._headers, **(headers or {})})
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise NoTellingError(f"{type(error).__name__}: {error}") from error


class _Cursor(Cursor):
    """One statement as it was typed; every answer that does not say that all went well is an error."""

    changed = 0
    """Rows that the statement changed: pyrqlite itself tells them of UPDATE and DELETE only."""

    def _substitute_params(self, operation: str, parameters: object) -> str:
        assert parameters is None
        return operation

    def _get_sql_command(self, sql_str: str) -> str:
        command = super()._get_sql_command(sql_str)
        return "SELECT" if command == "EXPLAIN" else command

    def _request(self, method: str, uri: str, body: Any = None, headers: Any = None) -> dict[str, Any]:
        bounds: Bounds = self.connection.bounds
        told = {"timeout": f"{round(1000 * bounds.seconds)}ms", **bounds.told}
        response = self.connection._fetch_response(method, f"{uri}&{urlencode(told)}", body, headers)
        try:
            text: bytes = response.read(bounds.bytes_max + 1)
        except (OSError, http.client.HTTPException) as error:
            raise NoTellingError(f"{type(error).__name__}: {error}") from error
        if len(text) > bounds.bytes_max:
            sentence = f"the answer has more than {bounds.bytes_max} bytes: ask for less"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, answer_bytes_max=bounds.bytes_max)
        match taken_apart(response.status, text, 1):
            case Refused(detail):
                raise SaidNoError(detail)
            case Unknown(detail):
                raise NoTellingError(detail)
            case _:
                answer = json.loads(text)
                result = answer["results"][0]
                self.changed = result.get("rows_affected") or len(result.get("values") or ())  # with RETURNING
                return answer
