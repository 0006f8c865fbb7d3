"""Goal: `relm replay` keeps what it is told to keep, and names what the machine lacks. Method: small logs, whole nodes.

What the log's figures are is `test_permit_replay.py`'s.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relmachine.cli.app import app
from relmachine.stream.folder import Folder
from tests import permit

pytestmark = pytest.mark.process

TRACE = """<trace><string key="concept:name" value="{case}"/>{events}</trace>"""
EVENT = """<event><string key="concept:name" value="{activity}"/></event>"""


def write_log(path: Path, cases: dict[str, list[str]]) -> Path:
    traces = (
        TRACE.format(case=case, events="".join(EVENT.format(activity=activity) for activity in activities))
        for case, activities in cases.items()
    )
    path.write_text(f"<log>{''.join(traces)}</log>")
    return path


def relm(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def test_a_kept_store_is_looked_at_as_the_last_line_says(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.xes", {"case 1": ["Confirmation of receipt"]})
    done = relm("replay", permit.YAML, log, "--data", tmp_path / "kept")
    assert done.exit_code == 0, done.output
    last = done.stdout.splitlines()[-1]
    assert last == f"look at it: relm thread list --context {tmp_path / 'kept'}"
    (line,) = json.loads(relm(*last.removeprefix("look at it: relm ").split(), "--json").stdout)
    assert (line["label"], line["depth"]) == ("case 1", 1)
    again = json.loads(relm("replay", permit.YAML, log, "--data", tmp_path / "kept", "--json").stdout)
    assert (again["committed"], again["new_committed"]) == (1, 0)


def test_activities_without_a_step_are_named_with_their_counts(tmp_path: Path) -> None:
    cases = {
        "a": ["Confirmation of receipt", "Call [back]", "Archive"],
        "b": ["Call [back]", "T02 Check confirmation of receipt"],
    }
    done = relm("replay", permit.YAML, write_log(tmp_path / "log.xes", cases))
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows.index(["Call", "[back]", "2"]) < rows.index(["Archive", "1"])
    assert "ingest.xes.names" in done.stdout
    assert "--data FOLDER" in done.stdout.splitlines()[-1]


def test_a_log_whose_activities_all_have_steps_says_nothing_of_it(tmp_path: Path) -> None:
    done = relm("replay", permit.YAML, write_log(tmp_path / "log.xes", {"a": ["Confirmation of receipt"]}))
    assert "ingest.xes.names" not in done.stdout


def test_a_node_of_its_own_and_a_running_one_at_once_make_no_sense(tmp_path: Path) -> None:
    done = relm("replay", permit.YAML, permit.LOG, "--data", tmp_path, "--context", tmp_path)
    assert (done.exit_code, "--data" in done.stderr) == (2, True)


def test_a_taken_port_and_a_taken_folder_are_told_apart(tmp_path: Path) -> None:
    other = Folder(tmp_path / "b" / "nats")
    other.hold()
    try:
        twice = relm("dev", permit.YAML, "--data", tmp_path / "b", "--port", "0")
    finally:
        other.release()
    assert (twice.exit_code, "a node is already running on this folder" in twice.stderr) == (4, True), twice.stderr
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        taken = relm("dev", permit.YAML, "--data", tmp_path / "a", "--port", str(port))
    assert taken.exit_code == 4
    assert taken.stderr.startswith(f"unreachable: port {port} is taken by another program: choose another with --port")


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.1", "192.0.2.1 is no address of this machine: choose one with --host"), ("no.invalid", "no.invalid")],
)
def test_an_address_that_is_not_here_is_told(tmp_path: Path, host: str, said: str) -> None:
    done = relm("dev", permit.YAML, "--data", tmp_path / "a", "--host", host, "--port", "0")
    assert (done.exit_code, said in done.stderr) == (4, True), done.stderr
