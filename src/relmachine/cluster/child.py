"""One child process: it dies with the supervisor, carries the mark of its cluster, and is stopped politely first."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from relmachine.cluster.spec import ProcessSpec
from relmachine.errors import Code, RelmError

MARK = "RELM_CLUSTER_PROCESS"
"""Environment variable of every process of a cluster. By it a process is recognised whose supervisor is gone."""

_PR_SET_PDEATHSIG = 1


def mark_of(cluster: Path, name: str) -> str:
    """The value of `MARK` for the process `name` of the cluster in the folder."""
    return f"{cluster.resolve()}//{name}"


class Child:
    """A process that was started. Make it with `start`, in the main thread: the kernel ends a child when the *thread*
    that started it ends.
    """

    def __init__(self, process: asyncio.subprocess.Process, spec: ProcessSpec) -> None:
        self._process, self._spec = process, spec
        self._told = False

    @staticmethod
    async def start(spec: ProcessSpec, cluster: Path, log: Path) -> Child:
        """Start the process with its output appended to `log`. Errors: `not_found` when there is no such program."""
        environment = {**os.environ, **spec.environment, MARK: mark_of(cluster, spec.name)}
        spec.folder.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *spec.command,
                    cwd=spec.folder,
                    env=environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C at the terminal is for the supervisor, which drains in order
                    preexec_fn=_die_with_parent(),
                )
            except (FileNotFoundError, PermissionError) as error:
                sentence = f"{spec.name} cannot be started: build the servers with `make servers`"
                raise RelmError(Code.NOT_FOUND, sentence, program=spec.command[0], detail=str(error)) from error
        return Child(process, spec)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives, as far as was noticed."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait for its end; the exit code, or minus the signal's number."""
        return await self._process.wait()

    async def stop(self) -> bool:
        """Stop it by its own signal, by SIGKILL when it takes too long. Whether it went by itself."""
        if not self.running:
            return True
        if not self._told:  # a second signal may mean: faster
            self._told = True
            self._send(self._spec.stop_signal)
        self._send(signal.SIGCONT)  # a frozen process hears nothing else
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._spec.stop_seconds):
                await self.ended()
                return True
        await self.kill()
        return False

    async def kill(self) -> None:
        """kill -9."""
        self._send(signal.SIGKILL)
        await self.ended()

    def _send(self, sign: signal.Signals) -> None:
        # Not by the process object: it would ask for the exit code first, and so take it from whoever waits for it.
        with contextlib.suppress(ProcessLookupError):
            if self.running:
                os.kill(self.pid, sign)


def exit_text(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does between fork and exec: ask the kernel to kill it when its parent is gone, even by kill -9.

    Everything is looked up before the fork, since between fork and exec only a system call is safe. Elsewhere than on
    Linux there is no such request, and `cluster.leftovers` finds what outlived its supervisor. Source: prctl(2).
    """
    if sys.platform != "linux":
        return None
    prctl = cast("Callable[..., Any]", _libc().prctl)
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the request
            os._exit(1)

    return ask


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
