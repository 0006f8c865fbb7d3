"""Goal: without namespaces a tool is still bounded, and any user can have them. Method: a worker to which they are
refused, and a process that became a plain user.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relmachine.engine.tools import child
from relmachine.engine.tools.process import ToolProcesses
from relmachine.errors import RelmError
from relmachine.machine.runs import Tool
from tests.unit.engine.tools import hostile

PLAIN_USER = Path(__file__).with_name("plain_user.py")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Namespaces are refused to every worker."""
    monkeypatch.setattr(child, "_WORKER", child._WORKER.replace("; w.main()", "; w.enter_namespaces = bool; w.main()"))


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("function", "arguments", "kind"),
    [
        (hostile.add, {"one": 1, "other": 2}, "value"),
        (hostile.deaf, {}, "timeout"),
        (hostile.leave, {"code": 3}, "exit"),
        (hostile.orphan, {"file": "here", "own_session": False}, "value"),
        (hostile.orphan_and_leave, {}, "exit"),
        (hostile.eat, {"megabytes": 4000}, "memory"),
    ],
)
def test_bounds_hold_without_namespaces(
    function: Callable[..., object], arguments: dict[str, object], kind: str
) -> None:
    memory = 300_000_000 + os.getpid()

    async def scenario() -> str:
        processes = ToolProcesses()
        seconds = 0.5 if kind == "timeout" else 20.0
        try:
            await processes.call(Tool("t", function, trusted=False, seconds=seconds, memory_bytes=memory), arguments)
        except RelmError as error:
            assert kind != "exit" or error.witness["detail"] == "it ended with exit code 3"
            return str(error.witness["kind"])
        finally:
            await processes.close()
        return "value"

    assert asyncio.run(scenario()) == kind
    left = [entry for entry in Path("/proc").glob("[0-9]*") if f'"memory_bytes": {memory}' in command(entry)]
    assert left == []


def command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_cpu_time_is_bounded_for_all_threads_together() -> None:
    limits = {"memory_bytes": 2**28, "cpu_seconds": 1, "file_bytes_max": 0, "open_files_max": 64, "children_max": 3}
    code = f"""if True:
        from relmachine.engine.tools.confinement import set_limits
        set_limits({limits}, alone=False)
        while True: pass
    """
    ran = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert ran.returncode == -signal.SIGXCPU


def test_a_plain_user_gets_namespaces_without_the_rights_in_them() -> None:
    ran = subprocess.run([sys.executable, str(PLAIN_USER)], capture_output=True, text=True, check=True, timeout=60)
    told = json.loads(ran.stdout)
    if not told["confined"]:
        pytest.skip("the system refuses namespaces to plain users")
    assert 1 <= told.pop("forks") <= 4
    assert told == {"confined": True, "same_user": True, "rights": 0, "network": "Network is unreachable"}
