"""Goal: a log that cannot be used is told before any node starts. Method: bad logs, and a node of other laws."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relmachine.cli.app import app
from relmachine.node.context import Context
from relmachine.node.node import Node

PERMIT = Path(__file__).parents[3] / "examples" / "permit"
RECEIPT = PERMIT / "receipt.xes.gz"
LINE = b'{"id":"1","source":"s","type":"t02","subject":"t","data":{}}\n'


@pytest.fixture(autouse=True)
def no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that is started all the same fails the test."""

    def started(*_: object) -> None:
        raise AssertionError("a node was started")

    monkeypatch.setattr(Node, "running", started)


def _replay(log: Path, *options: str) -> Result:
    result = CliRunner().invoke(app, ["replay", str(PERMIT), str(log), *options])
    assert isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "code"),
    [
        ("cut.xes.gz", RECEIPT.read_bytes()[:-200], 1, "log_truncated"),
        ("cut.xes", gzip.decompress(RECEIPT.read_bytes())[:-200], 1, "log_truncated"),
        ("bent.xes", b"<log><trace></log>", 1, "log_invalid"),
        ("table.csv", b"case,activity\n", 1, "log_invalid"),
        ("empty.xes", b"<log></log>", 1, "log_empty"),
        ("absent.xes", None, 3, "not_found"),
    ],
)
def test_a_bad_log_starts_nothing(tmp_path: Path, name: str, content: bytes | None, exit_code: int, code: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = _replay(tmp_path / name)
    assert (result.exit_code, result.stderr.partition(":")[0]) == (exit_code, code)


def test_a_strict_replay_publishes_nothing_when_a_line_is_faulty(tmp_path: Path) -> None:
    log = tmp_path / "steps.jsonl"
    log.write_bytes(LINE + b"oops\n" * 25)
    result = _replay(log, "--strict")
    assert result.exit_code == 1
    assert "not_json: line 2: " in result.stderr
    assert "... and 5 more" in result.stderr


def test_a_log_is_not_replayed_through_a_node_of_other_laws(tmp_path: Path) -> None:
    log = tmp_path / "steps.jsonl"
    log.write_bytes(LINE)
    Context(
        machine="desk",
        version="1",
        laws_digest="other",
        store_path=tmp_path / "store.db",
        nats_url="nats://127.0.0.1:1",
        http_url=None,
        pid=os.getpid(),
        nats_pid=None,
    ).save(tmp_path)
    result = _replay(log, "--context", str(tmp_path))
    assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "machine_mismatch")
