"""Requests to rqlite servers: one pool of connections, several addresses, one attempt or as many as patience allows."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from typing import BinaryIO
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import ClientTimeout

from relmachine.errors import Code, RelmError
from relmachine.store.rqlite.answers import Answer, Done, Refused, Unknown, refusal, taken_apart
from relmachine.store.rqlite.bounds import MIB, RqliteBounds
from relmachine.store.rqlite.level import Level

Statement = tuple[object, ...]
"""The text of a statement and its parameters."""

Rows = tuple[tuple[object, ...], ...]

_HEADERS = {"Content-Type": "application/json"}
_MOVED = (301, 302, 307, 308)


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

    async def copy(self, file: BinaryIO, *, rewritten: bool) -> Refused | Unknown | None:
        """One attempt at writing the leader's file to `file`; None when it is all there.

        `rewritten` costs a server more; without it, one that cannot empty its log just now leaves out what is there.

        Errors: `limit_exceeded` for more than `RqliteBounds.copy_bytes_max` bytes, OSError when `file` takes no more.
        """
        bounds = self.bounds
        idle = ClientTimeout(sock_connect=bounds.connect_seconds_max, sock_read=bounds.copy_idle_seconds_max)
        for _ in range(len(self.urls) + 1):
            query = {**({"redirect": ""} if self._asks_the_way else {}), **({"vacuum": ""} if rewritten else {})}
            try:
                async with self._session.get(
                    f"{self._places[self._at]}/db/backup", params=query, allow_redirects=False, timeout=idle
                ) as response:
                    if response.status in _MOVED:
                        self._follow(response.headers.get("Location", ""))
                        continue
                    if response.status != 200:
                        said = f"status {response.status}: {(await response.read())[:200].decode(errors='replace')}"
                        return Refused(said) if 400 <= response.status < 500 else Unknown(said)
                    await _written(response, file, bounds.copy_bytes_max)
                    return None
            except (aiohttp.ClientError, TimeoutError) as error:
                at, self._at = self._at, (self._at + 1) % len(self.urls)
                return Unknown(f"{self.urls[at]}: {type(error).__name__}: {error}")
        return Unknown("the servers point at one another")

    async def rows(self, statement: Statement) -> Rows:
        """The rows of one statement of our own, linearizable.

        Errors: `unreachable`, `internal` when it is refused, `limit_exceeded` beyond `RqliteBounds.answer_bytes_max`.
        """
        return (await self.tables([statement]))[0]

    async def tables(self, statements: Sequence[Statement]) -> list[Rows]:
        """The rows of each statement of our own, as `rows`."""
        if not statements:
            return []
        answer = await self.read(statements, Level.LINEARIZABLE, answer_bytes_max=self.bounds.answer_bytes_max)
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
                    timeout=ClientTimeout(total=seconds, sock_connect=self.bounds.connect_seconds_max),
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


async def _written(response: aiohttp.ClientResponse, file: BinaryIO, bytes_max: int) -> None:
    size = 0
    async for chunk in response.content.iter_chunked(MIB):
        size += len(chunk)
        if size > bytes_max:
            sentence = f"the store has more than {bytes_max} bytes: copy the file of one of its servers by hand"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, copy_bytes_max=bytes_max)
        await asyncio.to_thread(file.write, chunk)


def _origin(url: str) -> str:
    """Scheme, host and port: what two addresses of one server have in common, whatever name they log in with."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"
