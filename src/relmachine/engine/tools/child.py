"""One call of a tool in a process of its own, from the folder it gets to the last of its processes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import IO, cast

from relmachine.engine.tools.answer import FRAME_BYTES, parsed, told
from relmachine.engine.tools.bounds import ToolBounds
from relmachine.gates.pipes import close, exchange
from relmachine.machine.runs import Tool

_WORKER = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); import relmachine.engine.tools.worker as w; w.main()"
)
_READY_BYTES_MAX = 4096
_CPU_KILLED = (-signal.SIGXCPU, 128 + signal.SIGXCPU)


class Child:
    """Runs once, in a thread; `end` may come from another at any time."""

    def __init__(self, tool: Tool, place: Mapping[str, str], arguments: bytes, bounds: ToolBounds) -> None:
        self._tool = tool
        self._place = place
        self._arguments = arguments
        self._bounds = bounds
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._confined = False
        self._ended = False

    def run(self) -> tuple[str, object]:
        """What came of it: `value` and the value, or a kind of failure and its detail."""
        folder = Path(tempfile.mkdtemp(prefix="relm-tool-"))
        try:
            process = self._start(folder)
            found = ("ended", "") if process is None else self._call(process)
            return ("ended", "") if self._ended and found[0] != "value" else found
        finally:
            self._leave(folder)

    def end(self) -> None:
        """Kill it, or keep it from starting."""
        with self._lock:
            self._ended = True
            self._kill()

    def _start(self, folder: Path) -> subprocess.Popen[bytes] | None:
        given = {"place": self._place, "limits": self._limits()}
        path = [str(Path(entry).resolve()) for entry in sys.path]
        command = [sys.executable, "-I", "-c", _WORKER, json.dumps(given), json.dumps(path)]
        with self._lock:
            if self._ended:
                return None
            # A session of its own, so that it can be ended with its children; nothing of the node's environment.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd=folder,
                env={name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            )
        os.set_blocking(cast(IO[bytes], self._process.stdin).fileno(), False)
        return self._process

    def _limits(self) -> dict[str, int]:
        return {
            "memory_bytes": self._tool.memory_bytes,
            "cpu_seconds": math.ceil(self._tool.seconds),
            "file_bytes_max": self._bounds.file_bytes_max,
            "open_files_max": self._bounds.open_files_max,
            "children_max": self._bounds.children_max,
        }

    def _call(self, process: subprocess.Popen[bytes]) -> tuple[str, object]:
        ready = exchange(process, b"", time.monotonic() + self._bounds.start_seconds_max, _READY_BYTES_MAX)
        match parsed(ready):
            case {"ready": True, "confined": bool(confined)}:
                with self._lock:
                    self._confined = confined
            case {"raised": name, "detail": detail}:
                return "start", f"importing its file: {name}: {detail}"
            case _:
                return "start", f"it ended, or did not start within {self._bounds.start_seconds_max} s"
        answer_bytes_max = max(self._tool.output_bytes + FRAME_BYTES, _READY_BYTES_MAX)
        answer = exchange(process, self._arguments, time.monotonic() + self._tool.seconds, answer_bytes_max)
        if answer is None:
            return "timeout", f"it took more than {self._tool.seconds} s"
        if len(answer) > answer_bytes_max:
            return "output", f"it gave more than {self._tool.output_bytes} bytes"
        return told(answer, self._tool) if answer.endswith(b"\n") else self._exited(process)

    def _exited(self, process: subprocess.Popen[bytes]) -> tuple[str, object]:
        """How a process ended that gave no answer."""
        if not self._confined:
            with self._lock:
                self._kill()  # before it is waited for: then its number means nothing any more
        try:
            code = process.wait(self._bounds.end_seconds_max)
        except subprocess.TimeoutExpired:
            return "exit", "it closed its output without an answer"
        if code in _CPU_KILLED:
            return "timeout", f"its threads took more than {self._tool.seconds} s of CPU"
        return "exit", f"it ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"

    def _kill(self) -> None:
        """Begin the end of all its processes. Where they are in namespaces, the one outside sees to it."""
        process = self._process
        if process is not None and process.returncode is None:
            if self._confined:
                process.terminate()
            else:
                with contextlib.suppress(ProcessLookupError):  # waited for by the other thread just now
                    os.killpg(process.pid, signal.SIGKILL)

    def _leave(self, folder: Path) -> None:
        process = self._process
        if process is not None:
            with self._lock:
                self._kill()
            try:
                process.wait(self._bounds.end_seconds_max)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for pipe in (process.stdin, process.stdout):
                close(cast(IO[bytes], pipe))
        try:
            shutil.rmtree(folder)
        except (OSError, RecursionError):  # the tool closed folders in it to their owner, or nested them deep
            for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
                subprocess.run([*command, str(folder)], stderr=subprocess.DEVNULL, check=False)
