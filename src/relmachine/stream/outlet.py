"""Where outbox rows leave: feeds have their subjects, proposed steps go where all steps go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import orjson
import structlog

from relmachine.errors import Code, RelmError
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import message_id

if TYPE_CHECKING:
    from relmachine.kernel.outcome_rows import OutboxRow
    from relmachine.stream.port import Feeds, Publisher

_log = structlog.get_logger(__name__)


class Outlet:
    """The `Feeds` port for all kinds of rows. A step that leaves twice is told by its key, in its turn.

    Feeds go first, and what becomes of the steps is nothing to them. `too_large` counts the steps that can never leave:
    a row is not kept back by one, nor are the others.
    """

    def __init__(self, feeds: Feeds, publisher: Publisher) -> None:
        self._feeds, self._publisher = feeds, publisher
        self.too_large = 0

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """See `stream.port.Feeds.emit`. Errors: `unreachable` when the stream is."""
        steps = [row for row in rows if row.kind == "step"]
        if not steps:
            return await self._feeds.emit(rows)
        rest = [row for row in rows if row.kind != "step"]
        sent = list(await self._feeds.emit(rest)) if rest else []
        try:
            await self._publish(steps)
        except RelmError as error:
            if not sent:
                raise
            _log.warning("proposed steps wait", rows=len(steps), error=error.sentence)
            return sent
        return [*sent, *steps]

    async def _publish(self, steps: Sequence[OutboxRow]) -> None:
        """All of them, together as long as each fits; one that does not is told and left out."""
        outgoing = [one for row in steps for one in _outgoing(row)]
        try:
            await self._publisher.publish(outgoing)
        except RelmError as error:
            if error.code is not Code.PAYLOAD_TOO_LARGE:
                raise
            for one in outgoing:
                await self._publish_alone(one)

    async def _publish_alone(self, step: Outgoing) -> None:
        try:
            await self._publisher.publish([step])
        except RelmError as error:
            if error.code is not Code.PAYLOAD_TOO_LARGE:
                raise
            self.too_large += 1
            _log.error(
                "a proposed step can never leave", thread=step.thread, step=step.step_token, bytes=len(step.body)
            )


def _outgoing(row: OutboxRow) -> list[Outgoing]:
    made: list[Outgoing] = []
    for envelope in cast("list[dict[str, object]]", orjson.loads(row.body)):
        body = orjson.dumps(envelope)
        made.append(Outgoing(row.thread, cast(str, envelope["type"]), body, message_id(row.thread, body)))
    return made
