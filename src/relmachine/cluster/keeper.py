"""Keeping one process running: start, wait until it answers, start again when it ends, give up when that is no use."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from relmachine.cluster import probe
from relmachine.cluster.child import Child, exit_text
from relmachine.cluster.logs import last_lines
from relmachine.cluster.spec import ProcessSpec
from relmachine.cluster.state import ProcessState, Stage
from relmachine.errors import Code, RelmError

_log = structlog.get_logger(__name__)

PROBE_EVERY_SECONDS = 0.05
"""Pause between two questions whether a process is ready; it grows to ten times this."""


class Keeper:
    """Keeps one process. `state` is what it wrote down, `ready` is set while the process answers."""

    def __init__(self, spec: ProcessSpec, cluster: Path, state: ProcessState, changed: Callable[[], None]) -> None:
        self.spec, self.state = spec, state
        self._transit = Stage.JOINING if state.stage is Stage.JOINING else None
        self.ready = asyncio.Event()
        self._given_up = asyncio.Event()
        self._cluster, self._changed = cluster, changed
        self._child: Child | None = None
        self._was_ready = False
        self._asked = False
        self._failures: deque[float] = deque(maxlen=spec.restart.failures_max)
        self._pauses = 0

    async def keep(self) -> None:
        """Run the process until cancelled.

        Errors: `unreachable`, with the log's last lines, when it does not get ready in time the first time, or ends
        too often and the cluster cannot go on without it; `not_found` when there is no such program.
        """
        deadline = asyncio.get_running_loop().time() + self.spec.start_seconds_max
        while True:
            probe.forget(self.spec.ready)
            child = self._child = await Child.start(self.spec, self._cluster, self.state.log)
            started = asyncio.get_running_loop().time()
            self._set(Stage.STARTING, pid=child.pid)
            patience = started + self.spec.start_seconds_max if self._was_ready else deadline
            in_service = await self._get_ready(child, patience)
            code = await child.ended()
            self.ready.clear()
            await self._pause(code, in_service, asyncio.get_running_loop().time() - started)

    async def restart(self) -> None:
        """Stop the process in order and wait until the next one is ready. The end of the old one counts as no failure.

        Errors: `unreachable` when it takes too long, or ends too often. It is tried on all the same.
        """
        old = self._child
        assert old is not None, "the process was never started"
        self._asked = old.running
        self.ready.clear()
        self._given_up.clear()
        await old.stop()
        try:
            async with asyncio.timeout(self.spec.start_seconds_max):
                if not await self._back():
                    raise self._failure("ends again and again")
        except TimeoutError as error:
            raise self._failure("is not ready again in time") from error

    def leave(self) -> None:
        """Say from now on that the process leaves, until it is stopped."""
        self._transit = self.state.stage = Stage.LEAVING

    async def stop(self) -> bool:
        """Stop the process, after `keep` was cancelled. Whether it went by itself."""
        if self._child is None or not self._child.running:
            self._set(Stage.STOPPED)
            return True
        try:
            self._set(Stage.STOPPING, pid=self._child.pid)
        finally:  # whatever becomes of what is told
            polite = await self._child.stop()
        self._set(Stage.STOPPED, last_exit=exit_text(await self._child.ended()))
        return polite

    async def _back(self) -> bool:
        """Wait until the process is ready, or ended too often. Whether it is ready."""
        waiting = [asyncio.create_task(event.wait()) for event in (self.ready, self._given_up)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return self.ready.is_set()

    async def _get_ready(self, child: Child, deadline: float) -> bool:
        """Wait until the process answers, ends or is late, which ends it. Whether it answers."""
        try:
            async with asyncio.timeout_at(deadline):
                if await _answers_first(child, self.spec):
                    self._was_ready = True
                    self.ready.set()
                    self._set(Stage.READY, pid=child.pid)
                    return True
        except TimeoutError:
            await child.kill()
            if not self._was_ready:
                raise self._failure(f"was not ready within {self.spec.start_seconds_max:g} s") from None
            _log.warning("process_not_ready_in_time", process=self.spec.name)
        return False

    async def _pause(self, code: int, in_service: bool, seconds_up: float) -> None:
        """Wait before the next start, longer after each failure in a row. Errors: see `keep`.

        A process that was in service and ended by itself without an error was told to by somebody: no failure.
        """
        rule, asked, self._asked = self.spec.restart, self._asked, False
        in_order = asked or (code == 0 and in_service)
        self.state.restarts += 1
        if in_order or seconds_up >= rule.steady_seconds:
            self._pauses = 0
        seconds = min(rule.back_off_seconds * 2**self._pauses, rule.back_off_seconds_max)
        self._pauses = min(self._pauses + 1, 20)
        exhausted = not in_order and self._exhausted()
        if exhausted and (rule.when_exhausted == "stop" or not self._was_ready):
            raise self._failure(f"ended {rule.failures_max} times within {rule.window_seconds:g} s")
        if exhausted:
            seconds = rule.back_off_seconds_max
            self._given_up.set()
        how = exit_text(code)
        _log.warning("process_ended", process=self.spec.name, how=how, up=round(seconds_up, 1), again_in=seconds)
        self._set(Stage.FAILING if exhausted else Stage.PAUSING, last_exit=how)
        if not asked:
            await asyncio.sleep(seconds)

    def _exhausted(self) -> bool:
        """Count a failure; whether there were too many lately."""
        now, rule = asyncio.get_running_loop().time(), self.spec.restart
        self._failures.append(now)
        return len(self._failures) == rule.failures_max and now - self._failures[0] <= rule.window_seconds

    def _failure(self, what: str) -> RelmError:
        return RelmError(
            Code.UNREACHABLE,
            f"{self.spec.name} {what}: read its last lines in the witness",
            process=self.spec.name,
            last_exit=self.state.last_exit,
            log_file=str(self.state.log),
            log=last_lines(self.state.log),
        )

    def _set(self, stage: Stage, pid: int | None = None, last_exit: str | None = None) -> None:
        arrived = stage is Stage.STOPPED or (stage is Stage.READY and self._transit is Stage.JOINING)
        self._transit = None if arrived else self._transit
        self.state.stage, self.state.pid, self.state.since = self._transit or stage, pid, time.time()
        if last_exit is not None:
            self.state.last_exit = last_exit
        self._changed()


async def _answers_first(child: Child, spec: ProcessSpec) -> bool:
    """True once the process answers; False when it ends before."""
    ending = asyncio.ensure_future(child.ended())
    pause = PROBE_EVERY_SECONDS
    try:
        while not ending.done():
            # Another program may answer on the port: only a process that still lives after the answer can be it.
            if await probe.answers(spec.ready) and not ending.done():
                return True
            await asyncio.wait({ending}, timeout=pause)
            pause = min(pause * 1.5, PROBE_EVERY_SECONDS * 10)
        return False
    finally:
        ending.cancel()
