"""Goal: a process id that was given away again is not mistaken for the process that had it. Method: a process that
lives, one that ended and waits to be asked, one that is gone, and contexts that were written by others.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from relmachine.node import living
from relmachine.node.context import FILE_NAME, Context
from relmachine.node.living import birth, lives


@pytest.fixture(params=["proc", "ps"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is asked about processes: here, and on systems without /proc."""
    if request.param == "ps":
        monkeypatch.setattr(living, "_PROC", tmp_path / "absent")


@pytest.mark.usefixtures("source")
def test_a_birth_is_the_same_as_long_as_the_process_lives() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        born = birth(child.pid)
        assert born and birth(child.pid) == born and lives(child.pid)
    finally:
        child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert birth(child.pid) is None  # nobody asked for its exit code yet: its id is still taken
    child.wait()
    assert birth(child.pid) is None and not lives(child.pid)


def test_two_processes_have_two_births() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        assert birth(child.pid) != birth(os.getpid())
    finally:
        child.kill()
        child.wait()


def written(folder: Path, pid: int | None) -> Context:
    """The context that a node of this process id left."""
    Context(
        machine="m",
        version="1",
        laws_digest="d",
        store_path=folder / "store.db",
        nats_url="nats://127.0.0.1:1",
        http_url=None,
        pid=pid,
        nats_pid=None,
    ).save(folder)
    return Context.load(folder)


def test_a_node_runs_when_the_very_process_does(tmp_path: Path) -> None:
    assert written(tmp_path, os.getpid()).running
    assert not written(tmp_path, None).running


@pytest.mark.parametrize("began", ["another time", None])
def test_another_process_of_its_id_is_not_the_node(tmp_path: Path, began: str | None) -> None:
    written(tmp_path, os.getpid())
    left = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps({**left, "began": began}))
    assert not Context.load(tmp_path).running


def test_a_node_that_is_gone_does_not_run(tmp_path: Path) -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        assert written(tmp_path, child.pid).running
    finally:
        child.kill()
        child.wait()
    assert not Context.load(tmp_path).running
    assert not written(tmp_path, child.pid).running
