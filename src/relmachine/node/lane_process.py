"""The process of a node's control lane, as its node sees it: started, watched, started again, ended.

An interpreter of its own is what makes the lane answer at once while the node has its hands full: threads of one
process take turns (`python -m bench.control` has the figures).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, cast

import orjson
import structlog

from relmachine.errors import Code, RelmError
from relmachine.node.supervision import RESTARTS_MAX, Restarts

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from relmachine.node.lane_told import LaneTold

_log = structlog.get_logger(__name__)

START_SECONDS_MAX = 30.0
"""How long a process may take to say where it serves; a busy machine imports for seconds."""

END_SECONDS_MAX = 5.0
"""How long it may take to let go once its input has ended."""

CHILD = ("-m", "relmachine.node.lane_child")
"""What the interpreter is to run."""


class LaneProcess:
    """Made by `start`. `url` is where the lane is served; a process that takes another's place serves there too."""

    def __init__(self, told: LaneTold) -> None:
        self._told = told
        self._process: Process | None = None
        self._closing = False
        self.url = ""

    @staticmethod
    async def start(told: LaneTold) -> LaneProcess:
        """Start it, and wait until it serves. Errors: what kept it from that; `unreachable` when it says nothing."""
        made = LaneProcess(told)
        await made._launch()
        return made

    @property
    def pid(self) -> int | None:
        """Its process id, while it lives."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def ended(self) -> None:
        """Keep it running. Returns when it was closed; raises `unreachable` when it does not stay."""
        restarts = Restarts()
        while True:
            process = self._process
            code = None if process is None else await process.wait()
            if self._closing:
                return
            _log.warning("the control lane ended, it is started again", code=code)
            if not await restarts.again():
                sentence = "the control lane does not stay: read the node's log"
                raise RelmError(Code.UNREACHABLE, sentence, restarts_max=RESTARTS_MAX)
            if not self._closing:
                await self._relaunch()

    async def _relaunch(self) -> None:
        """Start it where it served; one that does not come up has ended."""
        port = int(self.url.rpartition(":")[2])
        self._told = self._told.model_copy(update={"port": port})
        try:
            await self._launch()
        except RelmError as error:
            _log.warning("the control lane did not come up", code=error.code, sentence=error.sentence)

    async def close(self) -> None:
        """End it in order. May be called twice."""
        self._closing = True
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _launch(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *CHILD,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is for the node, which then ends this in order
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                process.stdin.write(self._told.model_dump_json().encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, OSError):
            line = b""
        said = cast("dict[str, object]", orjson.loads(line)) if line else {}
        if "url" not in said or self._closing:
            await self._end()
            raise _error(said)
        self.url = cast(str, said["url"])


def _error(said: dict[str, object]) -> RelmError:
    """What the process said kept it from working."""
    found = cast("dict[str, object]", said.get("error") or {})
    if not found:
        return RelmError(Code.UNREACHABLE, "the process of the control lane did not start: read the node's log")
    witness = cast("dict[str, object]", found["witness"])
    return RelmError(Code(cast(str, found["code"])), cast(str, found["sentence"]), **witness)
