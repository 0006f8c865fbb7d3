"""Goal: Ctrl-C ends a command with one line and 130, and the same command again goes on where it was.

Method: real processes, interrupted at a moment that can be seen from outside.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from relmachine.node.context import Context
from tests import permit

pytestmark = pytest.mark.process

SECONDS_MAX = 60.0
LINE = "interrupted; run the same command again to go on"


# A test run may have been started where interrupts are ignored, which a child inherits.
RELM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from relmachine.cli import main
main()
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", RELM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not seen():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came to that moment"
        time.sleep(0.01)


def committed(folder: Path) -> int:
    """Steps that the store in `folder` has committed; 0 while there is none."""
    if not (folder / "store.db").exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM thread_events").fetchone()[0])
    except sqlite3.Error:  # its tables are being made
        return 0


@pytest.mark.parametrize(
    ("command", "number"),
    [
        (["replay", str(permit.PYTHON), str(permit.LOG), "--json"], signal.SIGINT),
        (["demo", "--once", "--json"], signal.SIGTERM),
    ],
    ids=["replay", "demo"],
)
def test_an_interrupted_replay_goes_on_where_it_was(tmp_path: Path, command: list[str], number: signal.Signals) -> None:
    folder = tmp_path / "data"
    first = started(*command, "--data", str(folder))
    wait_until(lambda: committed(folder) > 0, first)
    first.send_signal(number)
    out, err = first.communicate(timeout=SECONDS_MAX)
    assert (first.returncode, out) == (130, ""), err
    *logged, last = err.splitlines()
    assert json.loads(last)["interrupted"].startswith(LINE)
    assert all("closed before the outbox was empty" in line for line in logged), err  # on a disk that is slow
    done = committed(folder)
    assert not Context.load(folder).running

    again = started(*command, "--data", str(folder))
    out, err = again.communicate(timeout=4 * SECONDS_MAX)
    assert again.returncode == 0, err
    found = json.loads(out)
    figures = found.get("figures", found)
    assert {name: figures[name] for name in permit.expected()} == permit.expected()
    assert figures["new_committed"] <= figures["committed"] - done


@contextmanager
def mute_node(folder: Path) -> Iterator[list[dict[str, str]]]:
    """A node that takes steps and never answers; yields what it was sent."""
    sent: list[dict[str, str]] = []
    end = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            end.wait(SECONDS_MAX)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Context(
            machine="desk",
            version="1",
            laws_digest="d",
            store_path=folder / "store.db",
            nats_url="nats://127.0.0.1:1",
            http_url=f"http://127.0.0.1:{server.server_port}",
            pid=os.getpid(),
            nats_pid=None,
        ).save(folder)
        try:
            yield sent
        finally:
            end.set()
            server.shutdown()
            thread.join()


def test_an_interrupted_publication_names_the_id_that_makes_it_safe_to_repeat(tmp_path: Path) -> None:
    with mute_node(tmp_path) as sent:
        publish = started("publish", "t1", "look", "--wait", "--context", str(tmp_path))
        wait_until(lambda: bool(sent), publish)
        publish.send_signal(signal.SIGINT)
        out, err = publish.communicate(timeout=SECONDS_MAX)
    assert (publish.returncode, out) == (130, "")
    assert err == f"{LINE}, with --id {sent[0]['id']}: a step is never taken twice\n"
