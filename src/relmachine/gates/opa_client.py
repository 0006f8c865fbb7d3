"""One HTTP query to an OPA server, and what came of it as a value.

aiohttp and not opa-python-client 3.0, which is a layer over it: that gives one time-out to connecting and answering
alike, so that a server that is away cannot be told from a silent one, sleeps between attempts, does not repeat when the
connection breaks within an answer, and takes twice the CPU on large batches (DESIGN.md, Cost).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import aiohttp
import orjson

from relmachine.gates.opa_bounds import OpaBounds
from relmachine.gates.patience import OutOfPatienceError, patiently


@dataclass(frozen=True, slots=True)
class Answered:
    """The server answered: `result` is None where its rule is undefined; `revisions` are those of its bundles."""

    result: object
    revisions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Failed:
    """The server answered that it could not evaluate the query."""

    status: int


@dataclass(frozen=True, slots=True)
class Silent:
    """The server took the connection and did not answer in time."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no server, it went away before its answer was whole, or what answers is none."""

    detail: str


Answer = Answered | Failed | Silent | Gone

_EVALUATION_FAILED = frozenset({400, 500})
"""OPA's statuses for a query that it will not, or cannot, evaluate."""


class OpaClient:
    """A few pooled connections to one server. Use as `async with`, within one event loop."""

    def __init__(self, url: str, bounds: OpaBounds) -> None:
        """`url` as `http://host:port`."""
        self.url, self._bounds = url.rstrip("/"), bounds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> OpaClient:
        # All that waits for a connection, the pool included, ends as Gone: only the answer's time can end as Silent.
        timeout = aiohttp.ClientTimeout(total=None, connect=self._bounds.connect_seconds_max)
        connector = aiohttp.TCPConnector(limit=self._bounds.connections_max)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        self._turns = asyncio.Semaphore(self._bounds.connections_max)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None, "it was entered"
        await self._session.close()

    async def query(self, rule: str, given: Mapping[str, object]) -> Answer:
        """What `rule` (its path with slashes) says of the input `given`.

        A query changes nothing, so it is repeated at once when the server went away: a pooled connection to one that
        was restarted breaks on its first use.
        """
        body = orjson.dumps({"input": given})
        answer: Answer = Gone("no attempt")
        async with self._turns:
            for _ in range(self._bounds.attempts_max):
                answer = await self._attempt(f"{self.url}/v1/data/{rule}?provenance=true", body)
                if not isinstance(answer, Gone):
                    break
        return answer

    async def _attempt(self, url: str, body: bytes) -> Answer:
        try:
            return await patiently(self._post(url, body), self._bounds.answer_seconds_max)
        except OutOfPatienceError as error:
            return Gone("this process was held up") if error.delayed else Silent()
        except (aiohttp.ClientError, OSError) as error:  # a connection that takes too long to make is among them
            return Gone(f"{type(error).__name__}: {error}")

    async def _post(self, url: str, body: bytes) -> Answer:
        assert self._session is not None, "use `async with`"
        headers = {"Content-Type": "application/json"}
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status in _EVALUATION_FAILED:
                return Failed(response.status)
            if response.status != 200:
                return Gone(f"HTTP status {response.status}")
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > self._bounds.answer_bytes_max:
                    return Failed(response.status)
        return _answered(content)


def _answered(content: bytes | bytearray) -> Answer:
    try:
        answer = cast(dict[str, object], orjson.loads(content))
        provenance = cast(dict[str, object], answer.get("provenance") or {})
        bundles = cast(dict[str, dict[str, object]], provenance.get("bundles") or {})
        return Answered(answer.get("result"), frozenset(str(bundle.get("revision")) for bundle in bundles.values()))
    except (orjson.JSONDecodeError, AttributeError):
        return Gone("what answers is no OPA server")
