"""Goal: `relm publish` sends the step that was typed and tells what the node says. Method: a small HTTP server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner, Result

from relmachine.cli.app import app
from relmachine.node.context import Context

COMMITTED = {
    "outcome": "committed",
    "thread": "t1",
    "sequence": 7,
    "repeated": False,
    "event": "e" * 64,
    "history": "f" * 64,
    "transitions": [{"sequence": 7, "claim": "checked", "kind": "newly", "history_before": "a", "history_after": "b"}],
}
KEY = '["urn:relm:cli","a7"]'
ACCEPTED = {"thread": "t1", "sequence": 7, "duplicate": False, "key": KEY}
REFUSED = {
    "code": "requires",
    "sentence": "first assert received",
    "witness": {"missing": ["received"]},
    "gate": "laws",
    "thread": "t1",
    "sequence": 7,
}


class _Node:
    """Answers every request alike and keeps what it was sent."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
        self.path, self.asked, self.sent = "", "", {}
        self.content_type: str | None = None


@contextmanager
def _answering(folder: Path, status: int, answer: object, later: tuple[int, object] = (500, {})) -> Iterator[_Node]:
    """A node that answers every step with `answer`, and a question for an outcome as `later` says."""
    node = _Node(status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            node.path, node.content_type = self.path, self.headers["Content-Type"]
            node.sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(node.status)
            self.end_headers()
            self.wfile.write(node.body)

        def do_GET(self) -> None:
            node.asked = self.path
            self.send_response(later[0])
            self.end_headers()
            self.wfile.write(json.dumps(later[1]).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        _context(folder, f"http://127.0.0.1:{server.server_port}", os.getpid())
        try:
            yield node
        finally:
            server.shutdown()
            thread.join()


def _context(folder: Path, http_url: str | None, pid: int | None) -> None:
    Context(
        machine="desk",
        version="7",
        laws_digest="d",
        store_path=folder / "store.db",
        nats_url="nats://127.0.0.1:1",
        http_url=http_url,
        pid=pid,
        nats_pid=None,
    ).save(folder)


def _publish(folder: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["publish", *arguments, "--context", str(folder)], input=stdin)


def test_the_step_is_sent_as_a_cloud_event(tmp_path: Path) -> None:
    with _answering(tmp_path, 202, ACCEPTED) as node:
        result = _publish(tmp_path, "case 1", "look", "--data", '{"at": 1}', "--id", "9", "--principal", "ann")
    assert (result.exit_code, "sequence 7" in result.stdout) == (0, True)
    assert (node.path, node.content_type) == ("/threads/case%25201/steps", "application/cloudevents+json")
    assert node.sent == {
        "specversion": "1.0",
        "id": "9",
        "source": "urn:relm:cli",
        "type": "look",
        "subject": "case%201",
        "machine": "desk",
        "machineversion": "7",
        "principal": "ann",
        "data": {"at": 1},
    }


def test_each_publication_without_an_id_is_a_step_of_its_own(tmp_path: Path) -> None:
    ids = set[str]()
    with _answering(tmp_path, 202, ACCEPTED) as node:
        for _ in range(2):
            _publish(tmp_path, "t1", "look")
            ids.add(str(node.sent["id"]))
    assert len(ids) == 2


def test_a_token_is_taken_as_it_is(tmp_path: Path) -> None:
    with _answering(tmp_path, 202, ACCEPTED) as node:
        _publish(tmp_path, "case%201", "look")
    assert (node.path, node.sent["subject"]) == ("/threads/case%25201/steps", "case%201")


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_the_payload_may_come_from_elsewhere(tmp_path: Path, way: str) -> None:
    (tmp_path / "payload.json").write_text('{"at": "é"}')
    source = f"@{tmp_path / 'payload.json'}" if way == "file" else "@-"
    with _answering(tmp_path, 202, ACCEPTED) as node:
        assert _publish(tmp_path, "t1", "look", "--data", source, stdin='{"at": "é"}').exit_code == 0
    assert node.sent["data"] == {"at": "é"}


def test_waiting_tells_the_outcome(tmp_path: Path) -> None:
    with _answering(tmp_path, 200, COMMITTED) as node:
        told, as_json = (_publish(tmp_path, "t1", "look", "--wait", *more) for more in ([], ["--json"]))
    assert node.path.endswith("?wait=settled")
    assert (told.exit_code, "committed at sequence 7" in told.stdout, "checked" in told.stdout) == (0, True, True)
    assert json.loads(as_json.stdout) == COMMITTED


def test_a_step_published_before_is_told_as_such_with_the_recorded_outcome(tmp_path: Path) -> None:
    again = {**ACCEPTED, "duplicate": True}
    with _answering(tmp_path, 202, again, later=(200, COMMITTED)) as node:
        told, as_json = (_publish(tmp_path, "t1", "look", "--id", "9", *more) for more in ([], ["--json"]))
    assert node.asked == f"/threads/t1/steps/7?key={quote(KEY, safe='')}"
    assert told.stdout.startswith("published before: nothing changed, it was committed at sequence 7\n")
    assert json.loads(as_json.stdout) == {**COMMITTED, "repeated": True}


def test_a_step_published_before_and_not_decided_yet_is_no_fresh_one(tmp_path: Path) -> None:
    absent = {"code": "not_found", "sentence": "nothing is decided", "witness": {}}
    with _answering(tmp_path, 202, {**ACCEPTED, "duplicate": True}, later=(404, absent)):
        result = _publish(tmp_path, "t1", "look", "--id", "9")
    assert (result.exit_code, result.stdout.startswith("published before: it is already on the stream")) == (0, True)


@pytest.mark.parametrize("wait", [True, False])
def test_a_step_refused_before_is_told_as_such(tmp_path: Path, wait: bool) -> None:
    first = (409, {**REFUSED, "repeated": True}) if wait else (202, {**ACCEPTED, "duplicate": True})
    options = ["--id", "9", *(["--wait"] if wait else [])]
    with _answering(tmp_path, *first, later=(409, REFUSED)):
        told, as_json = (_publish(tmp_path, "t1", "look", *options, *more) for more in ([], ["--json"]))
    assert (told.exit_code, as_json.exit_code) == (1, 1)
    assert told.stderr.startswith("published before: nothing changed, it was refused\nrequires: first assert")
    assert json.loads(as_json.stderr)["error"]["witness"]["repeated"] is True


def test_a_first_publication_is_not_called_a_repeat(tmp_path: Path) -> None:
    with _answering(tmp_path, 409, {**REFUSED, "repeated": False}):
        refused = _publish(tmp_path, "t1", "look", "--wait")
    with _answering(tmp_path, 200, COMMITTED):
        committed = _publish(tmp_path, "t1", "look", "--wait")
    assert "before" not in refused.stderr + committed.stdout


def test_waiting_in_vain_is_no_success(tmp_path: Path) -> None:
    with _answering(tmp_path, 202, ACCEPTED):
        result = _publish(tmp_path, "t1", "look", "--wait", "--id", "9")
    assert (result.exit_code, "--id 9" in result.stderr) == (4, True)


@pytest.mark.parametrize(
    ("status", "answer", "exit_code", "said"),
    [
        (409, REFUSED, 1, "requires: first assert received"),
        (503, {**REFUSED, "code": "unreachable"}, 4, "unreachable"),
        (418, {"code": "from_the_future", "sentence": "x"}, 1, "418 from_the_future"),
        (502, b"<html>", 4, "no relmachine node"),
        (200, b"[]", 4, "no relmachine node"),
    ],
)
def test_what_the_node_refuses_is_told_with_its_code(
    tmp_path: Path, status: int, answer: object, exit_code: int, said: str
) -> None:
    with _answering(tmp_path, status, answer):
        result = _publish(tmp_path, "t1", "look")
    assert (result.exit_code, said in result.stderr) == (exit_code, True)


def test_a_refusal_shows_gate_and_witness(tmp_path: Path) -> None:
    with _answering(tmp_path, 409, REFUSED):
        result = _publish(tmp_path, "t1", "look", "--json")
    witness = {"missing": ["received"], "gate": "laws", "sequence": 7}
    expected = {"code": "requires", "sentence": "first assert received", "witness": witness}
    assert json.loads(result.stderr)["error"] == expected


def test_a_node_that_is_not_there_is_told_apart_from_one_that_never_was(tmp_path: Path) -> None:
    assert _publish(tmp_path, "t1", "look").exit_code == 3
    _context(tmp_path, "http://127.0.0.1:9", None)
    stopped = _publish(tmp_path, "t1", "look")
    _context(tmp_path, None, os.getpid())
    mute = _publish(tmp_path, "t1", "look")
    with _answering(tmp_path, 202, ACCEPTED):
        pass
    gone = _publish(tmp_path, "t1", "look")
    assert [stopped.exit_code, mute.exit_code, gone.exit_code] == [4, 4, 4]
    assert "relm dev" in stopped.stderr


@pytest.mark.parametrize("data", ["oops", "[1]", '{"a": NaN}', '"text"'])
def test_a_payload_that_is_no_object_is_a_usage_error(tmp_path: Path, data: str) -> None:
    with _answering(tmp_path, 202, ACCEPTED) as node:
        assert _publish(tmp_path, "t1", "look", "--data", data).exit_code == 2
    assert node.sent == {}


@pytest.mark.parametrize("thread", ["", "x" * 300])
def test_a_thread_that_cannot_be_named_is_a_usage_error(tmp_path: Path, thread: str) -> None:
    with _answering(tmp_path, 202, ACCEPTED):
        result = _publish(tmp_path, thread, "look")
    assert (result.exit_code, "thread_name_invalid" in result.stderr) == (2, True)
