"""Goal: among processes too no data begins to be written while somebody urgent is on the way, and one that dies holds
nothing. Method: processes that write as fast as they can beside one that is urgent, and one that is killed while it is.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import pytest

from relmachine.store import file_order
from relmachine.store.file_order import FileOrder

SECONDS_MAX = 60.0
WRITER = """
import sys, time
from pathlib import Path
from relmachine.store.file_order import FileOrder
order = FileOrder(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while True:
    order.give_way()
    with open(sys.argv[1], "a") as log:
        log.write("begun\\n")
        log.flush()
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        log.write("data\\n")
"""
HOLDER = """
import sys
from pathlib import Path
from relmachine.store.file_order import FileOrder
with FileOrder(Path(sys.argv[1])).urgent():
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def started(code: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has said it is there; it is killed in the end, whatever it waits for."""
    command = [sys.executable, "-c", code, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], object]) -> None:
    """Look again at once: who waits here is to be there first."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline


def told(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_what_begins_behind_an_urgent_one_is_one_transaction_at_most(tmp_path: Path) -> None:
    log = tmp_path / "log"
    order = FileOrder(log)
    log.touch()
    begun: list[int] = []

    def enough() -> bool:
        before = log.read_text().count("data")
        with order.urgent():
            first = log.read_text().count("begun")
            # The one that passed before ends, and no other begins.
            wait_until(lambda: log.read_text().count("begun") == log.read_text().count("data"))
            begun.append(log.read_text().count("begun") - first)
        return before >= 200

    with started(WRITER, log) as writer:
        told(writer)
        wait_until(log.read_text)
        wait_until(enough)
    assert max(begun) <= 1, begun
    assert median(begun) == 0, begun


def test_others_see_that_somebody_urgent_is_on_the_way_until_it_dies(tmp_path: Path) -> None:
    log = tmp_path / "log"
    order = FileOrder(log)
    assert not order.expected()
    with started(HOLDER, log) as holder:
        assert order.expected()
        holder.kill()
        holder.wait()
        assert not order.expected(), "one that died is not on the way"
        order.give_way()


def test_data_waits_until_everybody_urgent_of_a_process_is_through(tmp_path: Path) -> None:
    entered, urgent = threading.Event(), FileOrder(tmp_path / "log")

    def write() -> None:
        FileOrder(tmp_path / "log").give_way()
        entered.set()

    first, second = ExitStack(), ExitStack()
    first.enter_context(urgent.urgent())
    second.enter_context(urgent.urgent())
    first.close()
    writer = threading.Thread(target=write)
    writer.start()
    assert not entered.wait(0.05)
    second.close()
    writer.join(SECONDS_MAX)
    assert entered.is_set()


def test_data_does_not_wait_for_one_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_order, "GIVE_WAY_SECONDS_MAX", 0.05)
    log = tmp_path / "log"
    with started(HOLDER, log) as holder:
        holder.send_signal(signal.SIGSTOP)
        FileOrder(log).give_way()
        assert FileOrder(log).expected()


def test_where_no_file_can_be_opened_nobody_is_waited_for(tmp_path: Path) -> None:
    order = FileOrder(tmp_path / "no folder" / "log")
    order.give_way()
    assert not order.expected()
