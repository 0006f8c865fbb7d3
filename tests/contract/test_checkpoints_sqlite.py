"""Goal: checkpoints in a file keep the contract, and survive the program. Method: the contract; a process killed after
a write was answered."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from relmachine.checkpoints import Saver
from relmachine.errors import Code, RelmError
from relmachine.store.verify import guards
from relmachine.store.verify.fault import Fault
from tests.contract.checkpoint_contract import CheckpointContract, of
from tests.unit.store.stored import ask, filled

KILLED = """
import os, signal, sys
from langgraph.checkpoint.base import empty_checkpoint
from relmachine.checkpoints import Saver
with Saver.sqlite(sys.argv[1]) as saver:
    for number in range(5):
        saver.put({"configurable": {"thread_id": "t", "checkpoint_ns": ""}}, empty_checkpoint(), {"step": number}, {})
    os.kill(os.getpid(), signal.SIGKILL)
"""


class TestSqlite(CheckpointContract):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "checkpoints.db"

    def saver(self) -> Saver:
        return Saver.sqlite(self.path)


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with Saver.sqlite(path) as saver:
        assert [found.metadata["step"] for found in saver.list(of("t"))] == [4, 3, 2, 1, 0]


def test_a_node_s_store_may_hold_them_too_and_verifies(tmp_path: Path) -> None:
    """Tables of the same names that are not quite these are strange all the same."""
    path = tmp_path / "store.db"
    filled(path)
    with Saver.sqlite(path) as saver:
        saver.put(of("t"), empty_checkpoint(), {}, {})
    assert ask(path, guards) is None
    connection = sqlite3.connect(path)
    connection.execute("DROP INDEX checkpoints_of_run")
    connection.execute("CREATE INDEX checkpoints_of_run ON checkpoints (thread_id)")
    connection.close()
    fault = ask(path, guards)
    assert isinstance(fault, Fault)
    assert "checkpoints_of_run" in fault.differs


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1000)
    with pytest.raises(RelmError) as refused, Saver.sqlite(tmp_path / "text"):
        pass
    assert refused.value.code is Code.UNREACHABLE
