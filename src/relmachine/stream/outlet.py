"""Where outbox rows leave: feeds have their subjects, proposed steps go where all steps go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import message_id

if TYPE_CHECKING:
    from relmachine.kernel.proposal import OutboxRow
    from relmachine.stream.port import Feeds, Publisher


class Outlet:
    """The `Feeds` port for all kinds of rows. A step that leaves twice is told by its key, in its turn."""

    def __init__(self, feeds: Feeds, publisher: Publisher) -> None:
        self._feeds, self._publisher = feeds, publisher

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """See `stream.port.Feeds.emit`. Errors: `unreachable` when the stream is."""
        steps = [row for row in rows if row.kind == "step"]
        if not steps:
            return await self._feeds.emit(rows)
        rest = [row for row in rows if row.kind != "step"]
        sent = list(await self._feeds.emit(rest)) if rest else []
        await self._publisher.publish([outgoing for row in steps for outgoing in _outgoing(row)])
        return [*sent, *steps]


def _outgoing(row: OutboxRow) -> list[Outgoing]:
    made: list[Outgoing] = []
    for envelope in cast("list[dict[str, object]]", orjson.loads(row.body)):
        body = orjson.dumps(envelope)
        made.append(Outgoing(row.thread, cast(str, envelope["type"]), body, message_id(row.thread, body)))
    return made
