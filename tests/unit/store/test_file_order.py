"""Goal: among processes too what is urgent goes before data that waits, and one that dies holds nothing. Method:
processes that write as fast as they can beside one that is urgent, and one that is killed while it holds its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

from relmachine.store.file_order import FileOrder

WRITER = """
import sys, time
from pathlib import Path
from relmachine.store.file_order import FileOrder
order, path = FileOrder(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
while not path.exists():
    with order.ordinary(), open(sys.argv[1], "a") as log:
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


def started(code: str, *arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def told(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_the_urgent_one_waits_for_one_transaction_at_most(tmp_path: Path) -> None:
    log, end = tmp_path / "log", tmp_path / "end"
    order = FileOrder(log)
    log.touch()
    between: list[int] = []
    with started(WRITER, log, end) as writer:
        told(writer)
        while not log.read_text():
            pass
        try:
            while log.read_text().count("data") < 200:
                before = log.read_text().count("data")
                with order.urgent():
                    found = log.read_text()
                    assert found.count("begun") == found.count("data"), "nobody is in the middle of a transaction"
                    between.append(found.count("data") - before)
        finally:
            end.touch()
    # The transaction that runs. More only where this process was not given the processor before it could ask.
    assert median(between) <= 1, between


def test_one_that_dies_holds_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(HOLDER, log) as holder:
        holder.kill()
    with FileOrder(log).ordinary():
        pass
