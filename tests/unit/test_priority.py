"""Goal: who holds others up runs before them where that is allowed, and works as well where it is not.

Method: processes of their own that ask for it, with the right to do so and without; the thread of a store.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relmachine import priority
from relmachine.priority import NICE, started_before_others
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.server import NatsServer
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is not a thread's")

_ASKS = """
import json, os, pathlib, resource, sys, threading
from relmachine.priority import raise_process, raise_thread
if sys.argv[2] == "no":
    resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
    if os.geteuid() == 0:
        os.setuid(65534)
told = []
def ask():
    told.append({"process": raise_process, "thread": raise_thread}[sys.argv[1]]())
    told.append(os.getpriority(os.PRIO_PROCESS, 0))
if sys.argv[1] == "thread":
    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
else:
    ask()
group = pathlib.Path("/proc/self/autogroup")
print(json.dumps([*told, os.getpriority(os.PRIO_PROCESS, 0), group.read_text() if group.exists() else ""]))
"""


def ask(which: str, *, may: bool = True, session: bool = True) -> tuple[bool, int, int, str]:
    """Whether it has it, the priority then, that of the main thread, and that of the session."""
    command = [sys.executable, "-c", _ASKS, which, "yes" if may else "no"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=session)
    has, own, main, group = json.loads(done.stdout)
    return has, own, main, group.strip().rpartition(" ")[2]


def _session(pid: int) -> str:
    """The priority of the process's session, nothing where sessions have none."""
    path = Path(f"/proc/{pid}/autogroup")
    return path.read_text().strip().rpartition(" ")[2] if path.exists() else ""


START = os.getpriority(os.PRIO_PROCESS, 0)
_TRIES = f"import os; os.setpriority(os.PRIO_PROCESS, 0, {NICE})"


@pytest.fixture(scope="module")
def raised() -> int:
    """The priority of whoever asks, by what this machine allows."""
    may = subprocess.run([sys.executable, "-c", _TRIES], capture_output=True, check=False).returncode == 0
    return min(START, NICE) if may and START <= 0 else START


def test_a_process_and_its_session_go_first(raised: int) -> None:
    has, own, main, group = ask("process")
    assert (has, own, main) == (raised <= NICE, raised, raised)
    assert group in ("", str(NICE) if has else "0")


def test_a_session_of_others_is_left_alone() -> None:
    before = _session(os.getpid())
    assert ask("process", session=False)[3] == before
    process = started_before_others(lambda: subprocess.Popen(["/bin/sh", "-c", "read -r _"], stdin=subprocess.PIPE))
    try:
        assert (_session(process.pid), _session(os.getpid())) == (before, before)
    finally:
        process.communicate()


def test_a_thread_goes_first_alone(raised: int) -> None:
    has, own, main, group = ask("thread")
    assert (has, own, main) == (raised <= NICE, raised, START)
    assert group in ("", "0")


@pytest.mark.parametrize("which", ["process", "thread"])
def test_where_it_is_not_allowed_nothing_changes(which: str) -> None:
    assert ask(which, may=False)[:3] == (START <= NICE, START, START)


def test_what_was_put_behind_others_stays_there() -> None:
    command = ["nice", "-n", "5", sys.executable, "-c", _ASKS, "process", "yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
    assert json.loads(done.stdout)[:3] == [False, START + 5, START + 5]


def test_a_server_goes_first_with_its_session_and_who_starts_it_does_not(raised: int) -> None:
    command = ["/bin/sh", "-c", "sleep 60 & echo; wait"]
    process = started_before_others(lambda: subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True))
    try:
        assert process.stdout is not None
        process.stdout.readline()
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in (process.pid, int(child))] == [raised, raised]
        assert _session(int(child)) in ("", str(NICE if raised <= NICE else 0))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert os.getpriority(os.PRIO_PROCESS, 0) == START


def test_the_thread_that_holds_the_file_has_it(tmp_path: Path, raised: int) -> None:
    async def test() -> dict[str, int]:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan)
        await store.commit([made.notes("t", 1)])
        found = {
            thread.name.rpartition("_")[0]: os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
            for thread in threading.enumerate()
        }
        await store.close()
        return found

    assert asyncio.run(test())["store-write"] == raised
    assert os.getpriority(os.PRIO_PROCESS, 0) == START


def test_every_thread_of_an_embedded_stream_server_has_it(tmp_path: Path, raised: int) -> None:
    def priorities(pid: int) -> set[int]:
        return {os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}

    async def test() -> set[int]:
        server = NatsServer(tmp_path)
        await server.start()
        try:
            return priorities(server.pid)
        finally:
            await server.stop()

    assert asyncio.run(test()) == {raised}


def test_a_session_asks_again_where_the_kernel_takes_no_wish_now(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []

    def not_now(path: Path, text: str) -> int:
        tried.append(path)
        if len(tried) < 3:
            raise BlockingIOError
        return len(text)

    monkeypatch.setattr(Path, "write_text", not_now)
    monkeypatch.setattr(priority, "_WISH_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(os, "getsid", lambda pid: pid)
    priority._raise_session(os.getpid())  # pyright: ignore[reportPrivateUsage]
    assert len(tried) == 3
