"""The worker process of laws of authors' own, kept warm; it is started anew when it is gone.

What happened to it is told apart by how it ended: only what the program itself used up counts against the program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import IO, cast

import orjson

from relmachine.gates.pipes import close, exchange
from relmachine.kernel.limits import Limits

WORKER = Path(__file__).with_name("own_law_worker.py")

_OWN_FAULTS = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE),
)


class Excess(StrEnum):
    """What of a limit a program used up, or what it did to the solver; `NUMBERS` are those it cannot calculate with."""

    CPU = "cpu"
    MEMORY = "memory"
    CRASH = "crash"
    NUMBERS = "numbers"


class Gone(StrEnum):
    """Why there is no answer, by no fault of the program: somebody ended the worker, or it did not get to run."""

    ENDED = "ended"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Violations:
    """How many violations a case has, and the arguments of the first few, as JSON."""

    count: int
    atoms: tuple[tuple[object, ...], ...]


Answer = dict[int, Violations] | Excess | Gone


class LawProcess:
    """Asks the worker, one question at a time, from any thread. `starts` counts its processes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._closed = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The worker's process, when there is one."""
        worker = self._worker
        return worker.pid if worker is not None and worker.poll() is None else None

    def ask(self, text: str, cpu_seconds: float | None = None) -> Answer:
        """The violations in the one answer of the program `text`, by case; in less than the limit's `cpu_seconds`."""
        bound = self._limits.own_law_cpu_seconds_max if cpu_seconds is None else cpu_seconds
        question = orjson.dumps({"text": text, "cpu_seconds": bound}) + b"\n"
        with self._lock:
            end = time.monotonic() + self._limits.own_law_wall_seconds_max
            worker = self._running(end)
            if isinstance(worker, Gone):
                return worker
            answer = exchange(worker, question, end)
            if answer is None:
                return self._end(worker, Gone.SILENT)
            if not answer.endswith(b"\n"):
                return self._end(worker, Gone.ENDED)
            told = cast(dict[str, object], orjson.loads(answer))
            if "memory" in told:
                self._stop()  # its memory may be in pieces
                return Excess.MEMORY
            if "numbers" in told:
                return Excess.NUMBERS
            return _violations(cast(dict[str, dict[str, object]], told["found"]))

    def close(self) -> None:
        """End the worker; nothing is asked any more."""
        with self._lock:
            self._closed = True
            self._stop()

    def _running(self, end: float) -> subprocess.Popen[bytes] | Gone:
        """A worker that can be asked. What keeps one from starting is no program's doing: it has seen none."""
        if self._closed:
            raise RuntimeError("asked after it was closed")
        if self._worker is not None and self._worker.poll() is None:
            return self._worker
        self._stop()
        command = [sys.executable, "-I", str(WORKER), str(self._limits.own_law_memory_bytes_max)]
        try:
            # A session of its own: what interrupts the node must not interrupt what it still has to decide.
            worker = self._worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return Gone.ENDED
        os.set_blocking(cast(IO[bytes], worker.stdin).fileno(), False)
        self.starts += 1
        ready = exchange(worker, b"", end)
        if ready is not None and ready.endswith(b"\n"):
            return worker
        self._stop()
        return Gone.SILENT if ready is None else Gone.ENDED

    def _end(self, worker: subprocess.Popen[bytes], why: Gone) -> Excess | Gone:
        """What ended the worker; one that is only silent is ended here."""
        if why is Gone.SILENT:
            self._stop()
            return why
        code = worker.wait()
        self._stop()
        if code == -signal.SIGPROF:
            return Excess.CPU
        # The interpreter's own way to end: the solver failed in a way that it could tell.
        return Excess.CRASH if code > 0 or -code in _OWN_FAULTS else why

    def _stop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    close(pipe)


def _violations(told: dict[str, dict[str, object]]) -> dict[int, Violations]:
    return {
        int(case): Violations(
            cast(int, found["count"]), tuple(tuple(atom) for atom in cast(list[list[object]], found["atoms"]))
        )
        for case, found in told.items()
    }
