"""The pulls that stay open at the server: how much is asked for, and when nobody can be sure any more."""

from __future__ import annotations

import orjson
import structlog
from nats.errors import Error

from relmachine.kernel.limits import Limits
from relmachine.stream.connection import Connection
from relmachine.stream.consumer import Consumer
from relmachine.stream.delivery import End

_log = structlog.get_logger(__name__)


class Pulls:
    """Keeps enough asked for of `consumer`, to be delivered to `inbox`.

    `suspect` says that what was asked for may be lost: the consumer is looked after before more is asked for.
    """

    def __init__(
        self, connection: Connection, consumer: Consumer, limits: Limits, inbox: str, *, reclaim: bool
    ) -> None:
        self.suspect = False
        self._connection, self._consumer, self._inbox = connection, consumer, inbox
        self._most = limits.hints_per_fetch_max
        self._reclaim = reclaim
        self._asked = 0

    def delivered(self) -> None:
        """A message came."""
        self._asked = max(0, self._asked - 1)

    def ended(self, end: End) -> None:
        """A pull ended."""
        self._asked = max(0, self._asked - end.pending)
        if not end.ordinary:
            _log.info("pull_ended", status=end.status, description=end.description)
            self.suspect = True

    async def keep(self, waiting: int) -> None:
        """Ask for more where few are asked for, beside the `waiting` that nobody took yet.

        Errors: `unreachable` when the connection is given up.
        """
        if self._connection.client.is_closed:
            raise self._connection.given_up()
        if not self._connection.usable:
            return
        if self.suspect and not await self._recovered():
            return
        room = self._most - waiting - self._asked
        if room <= 0 or (self._asked and room < self._most // 2):
            return
        bounds = self._connection.bounds
        request = {
            "batch": room,
            "expires": int(bounds.pull_expires_seconds * 1e9),
            "max_bytes": bounds.fetch_bytes_max,
        }
        try:
            await self._connection.client.publish(self._consumer.next_subject, orjson.dumps(request), reply=self._inbox)
            self._asked += room
        except (Error, OSError) as error:
            self.suspect = True
            _log.info("pull_failed", error=str(error) or repr(error))

    async def _recovered(self) -> bool:
        """Whether the consumer is there, made anew if it was not; pulls that were open count no longer."""
        try:
            await self._consumer.ensure(reclaim=self._reclaim)
        except (Error, OSError, TimeoutError) as error:
            _log.info("consumer_not_there", error=str(error) or repr(error))
            return False
        self._asked, self.suspect = 0, False
        return True
