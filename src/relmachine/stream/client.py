"""A client that no message can make deaf.

nats-py decodes subjects and headers strictly and splits control lines at any white space; a message that breaks either
ends its read loop, which it only logs. Anybody who may publish can send one. This client reads every message, and a
read loop that ends all the same closes the connection, so that whoever waits is told.
"""

from __future__ import annotations

import asyncio
import re
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import structlog
from nats.aio.client import Client
from nats.errors import Error, ProtocolError
from nats.protocol import parser

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_log = structlog.get_logger(__name__)

_CONTROL_LINES = {
    "MSG_RE": re.compile(rb"\AMSG ([^ \n]+) (\d+) (([^ \n]*) )?(\d+)\r\n"),
    "HMSG_RE": re.compile(rb"\AHMSG ([^ \n]+) (\d+) (([^ \n]*) )?(\d+) (\d+)\r\n"),
}
"""Lines as the server writes them: a subject may hold any byte but space, tab and line feed, and where there is no
reply subject there may be its space."""

_parse = FunctionType(parser.Parser.parse.__code__, {**vars(parser), **_CONTROL_LINES}, "parse", (b"",))
"""The parser's own method, with our patterns instead of the two of its module."""


_LOOPS = ("_reading_task", "_ping_interval_task", "_flusher_task", "_reconnection_task")
"""Where nats-py keeps the tasks of a connection."""


class ReadLoopError(Error):
    """The read loop met something that it cannot read."""


class _Parser(parser.Parser):
    """Tells its client what it could not read."""

    def __init__(self, client: TolerantClient) -> None:
        super().__init__(client)  # pyright: ignore[reportUnknownMemberType]
        self._client = client

    async def parse(self, data: bytes = b"") -> None:
        """Take `data`, and hand every message that is complete to the client."""
        try:
            await _parse(self, data)
        except ProtocolError:
            raise  # the client connects anew, with an empty parser
        except Exception as error:
            self._client.unreadable = error
            raise


class TolerantClient(Client):
    """Subjects that are no UTF-8 arrive with their odd bytes as surrogates (see `addressing`), headers that cannot be
    read as none. `unreadable` is what ended the read loop, if anything did.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ps = _Parser(self)
        self.unreadable: Exception | None = None

    async def abort(self) -> None:
        """Let go of the socket and the client's tasks at once, whatever is under way."""
        self._status = Client.CLOSED
        left = [task for task in self._tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        writer: asyncio.StreamWriter | None = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes the socket now

    def _tasks(self) -> list[asyncio.Task[Any]]:
        loops = (getattr(self, name) for name in _LOOPS)
        subscriptions = (getattr(subscription, "_wait_for_msgs_task", None) for subscription in self._subs.values())
        return [task for task in (*loops, *subscriptions) if task is not None]

    async def _read_loop(self) -> None:
        await super()._read_loop()
        task = asyncio.current_task()
        if not self.is_connected or (task is not None and task.cancelling()):
            return  # closed, or being connected anew: nobody is deaf
        cause = self.unreadable
        _log.error("stream_read_loop_ended", error=repr(cause))
        self.options["allow_reconnect"] = False
        await self._process_op_err(ReadLoopError(f"the read loop ended: {cause!r}"))

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)  # pyright: ignore[reportUnknownMemberType]
        except Exception as error:
            _log.debug("headers_unreadable", error=repr(error))
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        return self.msg_class(
            subject=subject.decode("utf-8", "surrogateescape"),
            reply=reply.decode("utf-8", "surrogateescape"),
            data=data,
            headers=headers,
            _client=cast(Any, self),
            _sid=sid,
        )
