"""Requests to rqlite servers: one pool of connections, several addresses, every answer taken apart.

An answer counts as done only when everything in it says so: status 200, no error beside the results, as many results
as statements, and none of them an error. A statement's error means that the transaction was rolled back. Everything
else says nothing about what happened.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast
from urllib.parse import urlsplit

import aiohttp
import orjson

from relmachine.errors import Code, RelmError
from relmachine.store.port import Table
from relmachine.store.rqlite.bounds import MIB, RqliteBounds

Statement = tuple[object, ...]
"""The text of a statement and its parameters."""

Rows = tuple[tuple[object, ...], ...]

_HEADERS = {"Content-Type": "application/json"}
_MOVED = (301, 302, 307, 308)
_REFUSING = range(400, 500)


class Level(StrEnum):
    """How sure a read is to see every commit acknowledged before it.

    `linearizable` does, always. `weak` does while the leader does not change: one that has lost its lead without
    knowing answers from what it had. `none` asks whichever server is nearest, however far it is behind.
    """

    NONE = "none"
    WEAK = "weak"
    LINEARIZABLE = "linearizable"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Done:
    """Everything took effect; one table for each statement, empty for those that return nothing."""

    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The servers said no, and nothing took effect. `detail` is SQLite's own text where it was SQLite."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No telling whether it took effect, or will yet."""

    detail: str


Answer = Done | Refused | Unknown


class Patience:
    """How long one caller goes on: pauses that double, up to a deadline."""

    def __init__(self, bounds: RqliteBounds, urls: Sequence[str]) -> None:
        self._bounds, self._urls = bounds, urls
        self._end = asyncio.get_running_loop().time() + bounds.retry_seconds_max
        self._pause = bounds.retry_pause_seconds

    async def wait(self, detail: str) -> None:
        """Pause before the next attempt. Errors: `unreachable` when the time is up."""
        if asyncio.get_running_loop().time() + self._pause > self._end:
            raise RelmError(
                Code.UNREACHABLE,
                "the replicated store does not answer: check that most of its servers run and reach one another",
                urls=list(self._urls),
                retry_seconds_max=self._bounds.retry_seconds_max,
                detail=detail,
            )
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, self._bounds.retry_pause_seconds_max)


class RqliteClient:
    """Speaks to whichever of `urls` leads. Made and closed inside one event loop."""

    def __init__(self, urls: Sequence[str], bounds: RqliteBounds) -> None:
        assert urls, "a replicated store has at least one address"
        self.urls, self.bounds = tuple(_origin(url) for url in urls), bounds
        self._places = tuple(url.rstrip("/") for url in urls)
        self._at = 0
        # A follower would pass a request on itself; asking for the way instead spares every later request that detour.
        self._asks_the_way = len(self.urls) > 1
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=bounds.connections_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def patience(self) -> Patience:
        """Patience for one caller, from now."""
        return Patience(self.bounds, self.urls)

    async def write(self, statements: Sequence[Statement]) -> Answer:
        """One attempt at one transaction. Only what is idempotent may be tried again after `Unknown`."""
        return await self._attempt("execute", {"transaction": ""}, statements, self.bounds.attempt_seconds_max)

    async def read(
        self,
        statements: Sequence[Statement],
        level: Level,
        *,
        seconds_max: float | None = None,
        answer_bytes_max: int | None = None,
    ) -> Done | Refused:
        """Read, again and again until there is an answer. A query may take `seconds_max`.

        Errors: `unreachable`; `limit_exceeded` for more than `answer_bytes_max` bytes.
        """
        options, seconds = {"level": str(level)}, self.bounds.attempt_seconds_max
        if seconds_max is not None:
            options["db_timeout"] = f"{round(seconds_max * 1000)}ms"
            seconds += seconds_max
        patience = self.patience()
        while True:
            answer = await self._attempt("query", options, statements, seconds, answer_bytes_max)
            if not isinstance(answer, Unknown):
                return answer
            await patience.wait(answer.detail)

    async def rows(self, statement: Statement) -> Rows:
        """The rows of one statement of our own, linearizable. Errors: `unreachable`, `internal` when it is refused."""
        return (await self.tables([statement]))[0]

    async def tables(self, statements: Sequence[Statement]) -> list[Rows]:
        """The rows of each statement of our own, as `rows`."""
        if not statements:
            return []
        answer = await self.read(statements, Level.LINEARIZABLE)
        if isinstance(answer, Refused):
            raise refusal(answer)
        return [table.rows for table in answer.tables]

    async def _attempt(
        self,
        path: str,
        options: Mapping[str, str],
        statements: Sequence[Statement],
        seconds: float,
        answer_bytes_max: int | None = None,
    ) -> Answer:
        """One attempt at one server, or at those that it points to."""
        body = orjson.dumps(statements)
        answer: Answer
        at, answer = self._at, Unknown("the servers point at one another")
        for _ in range(len(self.urls) + 1):
            at = self._at
            query = {**options, "timeout": f"{round(seconds * 1000)}ms"}
            if self._asks_the_way and options.get("level") != Level.NONE:
                query["redirect"] = ""
            try:
                async with self._session.post(
                    f"{self._places[at]}/db/{path}",
                    params=query,
                    data=body if len(body) < MIB else io.BytesIO(body),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=self.bounds.connect_seconds_max),
                ) as response:
                    if response.status not in _MOVED:
                        text = await _text(response, answer_bytes_max)
                        answer = taken_apart(response.status, text, len(statements))
                        break
                    self._follow(response.headers.get("Location", ""))
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                answer = Unknown(f"{self.urls[at]}: {type(error).__name__}: {error}")
                break
        if isinstance(answer, Unknown) and self._at == at:
            self._at = (at + 1) % len(self.urls)
        return answer

    def _follow(self, location: str) -> None:
        """The leader is there. Nobody is followed to where we were not told to go: then followers pass on."""
        origin = _origin(location)
        if origin in self.urls:
            self._at = self.urls.index(origin)
        else:
            self._asks_the_way = False


def refusal(answer: Refused) -> RelmError:
    """What it means when the servers refuse a statement of our own."""
    sentence = (
        "the replicated store refuses what this relmachine asks of it: check the user it logs in as, and that nobody "
        "changed its tables"
    )
    return RelmError(Code.INTERNAL, sentence, detail=answer.detail)


def taken_apart(status: int, text: bytes, statements: int) -> Answer:
    """What an answer to so many statements says."""
    # The servers answer 500 to most of what may pass; a result that JSON cannot carry, an infinity, stays so.
    if status in _REFUSING or text.startswith(b"json: "):
        return Refused(text.decode(errors="replace").strip() or f"status {status}")
    if status != 200:
        return Unknown(f"status {status}: {text[:200].decode(errors='replace').strip()}")
    try:
        answer = cast(object, orjson.loads(text))
    except orjson.JSONDecodeError:
        return Unknown("an answer that is no JSON")
    if not isinstance(answer, dict) or "error" in answer:
        return Unknown(str(cast(object, answer))[:200])
    results = cast(list[dict[str, object]], cast(dict[str, object], answer).get("results") or [])
    for result in results:
        if "error" in result:
            return Refused(str(result["error"]))
    if len(results) != statements:
        return Unknown(f"{len(results)} results for {statements} statements")
    return Done(tuple(_table(result) for result in results))


def _table(result: Mapping[str, object]) -> Table:
    columns = cast("list[str]", result.get("columns") or [])
    rows = cast("list[list[object]]", result.get("values") or [])
    return Table(tuple(columns), tuple(map(tuple, rows)))


async def _text(response: aiohttp.ClientResponse, bytes_max: int | None) -> bytes:
    if bytes_max is None:
        return await response.read()
    text = bytearray()
    async for chunk in response.content.iter_any():
        text += chunk
        if len(text) > bytes_max:
            response.close()
            sentence = f"the answer has more than {bytes_max} bytes: ask for less"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, answer_bytes_max=bytes_max)
    return bytes(text)


def _origin(url: str) -> str:
    """Scheme, host and port: what two addresses of one server have in common, whatever name they log in with."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"
