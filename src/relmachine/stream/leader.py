"""Reads at the stream's leader. One message a request: for the few reads where a replica that lags will not do.

Whichever replica is nearest answers a direct get, from what it has applied so far. The leader has what it acknowledged.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
import structlog
from nats.errors import Error

from relmachine.stream.direct import Stored

if TYPE_CHECKING:
    from relmachine.stream.connection import Connection

_log = structlog.get_logger(__name__)

_REPLACEMENT = "\ufffd"


class LeaderReader:
    """Reads any stream of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Semaphore(connection.bounds.reads_in_flight_max)

    async def first_many(self, stream: str, reads: Sequence[tuple[str, int]]) -> list[Stored | None]:
        """For each (subject filter, after) the first message above `after`; None also when there is no answer."""
        return list(await asyncio.gather(*(self._first(stream, *read) for read in reads)))

    async def _first(self, stream: str, subjects: str, after: int) -> Stored | None:
        wanted = orjson.dumps({"seq": after + 1, "next_by_subj": subjects})
        try:
            async with self._turn:
                answer = await self._connection.client.request(
                    f"$JS.API.STREAM.MSG.GET.{stream}", wanted, timeout=self._connection.bounds.answer_seconds_max
                )
        except (Error, OSError, TimeoutError) as error:
            _log.debug("leader_not_asked", stream=stream, error=str(error) or repr(error))
            return None
        return _stored(answer.data)


def _stored(answer: bytes) -> Stored | None:
    """The message in an answer; None for an error, as when there is none. Its headers are not taken along.

    The answer is JSON, so a subject that is no UTF-8 is not as in a direct get: that message is left to direct gets.
    """
    found = orjson.loads(answer).get("message")
    if found is None or _REPLACEMENT in found["subject"]:
        return None
    return Stored(found["seq"], found["subject"], b64decode(found.get("data", "")), {})
