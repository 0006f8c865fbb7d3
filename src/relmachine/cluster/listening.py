"""The way in which a running supervisor is asked: a socket in the cluster's folder, for its owner's eyes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path

import structlog
from pydantic import ValidationError

from relmachine.cluster.requests import REQUEST, Answer, Done, Request
from relmachine.cluster.state import Failure
from relmachine.errors import Code, RelmError

_log = structlog.get_logger(__name__)

_SOCKET = "control.sock"

REQUEST_SECONDS_MAX = 5.0
"""How long whoever connects may take to say what it wants."""

SIGN_SECONDS = 2.0
"""How often whoever waits hears that the supervisor is still at it."""

STARTING = "the cluster is starting, or ends: ask again once `relm status` says that it is ready"

CarryOut = Callable[[Request, Callable[[str], None]], Awaitable[Done]]


@contextlib.contextmanager
def socket_path(cluster: Path) -> Generator[str]:
    """A path of the folder's socket for the block: one short enough for an address, by a link, however long the
    folder's own path is.
    """
    with tempfile.TemporaryDirectory(prefix="relm-") as short:
        link = Path(short, "to")
        link.symlink_to(cluster.resolve())
        yield str(link / _SOCKET)


class Listener:
    """Answers requests. Made by `listening`."""

    carry_out: CarryOut | None = None
    """Who does what is asked; None while nobody can yet, and whoever asks is told to come again."""

    def __init__(self, cluster: Path) -> None:
        self._cluster = cluster
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_unix_server(self._serve, sock=_bind(self._cluster))

    async def close(self) -> None:
        """Listen no more, and cancel what is under way. A second time does nothing."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        (self._cluster / _SOCKET).unlink(missing_ok=True)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        await _serve(reader, writer, self._carry_out)

    async def _carry_out(self, request: Request, tell: Callable[[str], None]) -> Done:
        if self.carry_out is None:
            raise RelmError(Code.UNREACHABLE, STARTING)
        return await self.carry_out(request, tell)


@contextlib.asynccontextmanager
async def listening(cluster: Path) -> AsyncGenerator[Listener]:
    """Listen until the block ends. Call while holding the folder."""
    listener = Listener(cluster)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.close()


def _bind(cluster: Path) -> socket.socket:
    (cluster / _SOCKET).unlink(missing_ok=True)  # of a supervisor that was killed
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # never more rights than its owner's, from the first moment
    try:
        with socket_path(cluster) as path:
            made.bind(path)
    finally:
        os.umask(before)
    return made


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carry_out: CarryOut) -> None:
    def send(answer: Answer) -> None:
        if not writer.is_closing():  # who asked may be gone: the change goes on
            writer.write(answer.line())

    signs = asyncio.create_task(_signs(lambda: send(Answer())), name="signs of life")
    try:
        async with asyncio.timeout(REQUEST_SECONDS_MAX):
            line = await reader.readline()
        request = REQUEST.validate_json(line)
        send(Answer(done=await carry_out(request, lambda told: send(Answer(told=told)))))
    except asyncio.CancelledError:  # the last thing that this task does: nobody waits for more
        sentence = "the cluster is being ended meanwhile: the next `relm up` goes on with what was begun"
        send(Answer(error=Failure.of(RelmError(Code.UNREACHABLE, sentence))))
    except Exception as error:
        send(Answer(error=Failure.of(_as_error(error))))
    finally:
        signs.cancel()
        writer.close()  # what is written is sent first


async def _signs(send: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(SIGN_SECONDS)
        send()


def _as_error(error: Exception) -> RelmError:
    match error:
        case RelmError():
            return error
        case TimeoutError() | ValidationError() | ValueError():
            return RelmError(Code.QUERY_REFUSED, "send one request as JSON on one line", detail=str(error)[:500])
        case _:
            _log.error("request_failed", error=repr(error))
            return RelmError(Code.INTERNAL, f"the change failed: {error!r}: read the supervisor's log")
