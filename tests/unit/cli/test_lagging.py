"""Goal: commands tell the lag that a running node tells, and do without it where none answers. Method: a small store
beside an HTTP server of the test that answers as a node does, late, wrong, or not at all."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from relmachine.cli import lagging
from relmachine.cli.app import app
from relmachine.cluster.looking import ClusterLook, ProcessLook
from relmachine.cluster.state import Phase, Stage
from relmachine.node.context import Context

NODE = {
    "hints": 3,
    "threads": 1,
    "feed_rows": 0,
    "publishers_deferred": 2,
    "undecided_steps_max": 20_000,
    "telemetry_shed": 5,
}
LANE = {"lane": "steps", "newest": 9, "waiting": 5, "undelivered": 4, "unacknowledged": 1}
LANES = [{**LANE, "oldest_sequence": 5, "oldest_seconds": 2.5}]


def line(thread: str) -> dict[str, object]:
    known = {"thread": thread, "label": thread, "cursor": 4, "newest": 9, "behind": 5}
    return {**known, "oldest_sequence": 5, "oldest_seconds": 2.5}


class Node:
    """What answers at `url`; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answer: bytes | None = None
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                assert parts.path == "/lag"
                threads = parse_qs(parts.query).get("thread", [])
                node.asked.append(threads)
                told = {"node": NODE, "lanes": LANES, "threads": [line(thread) for thread in threads or ["slow"]]}
                body = json.dumps(told).encode() if node.answer is None else node.answer
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def node(context: Path) -> Iterator[Node]:
    """A node that runs, as `context.json` says."""
    node = Node()
    Context.load(context).model_copy(update={"pid": os.getpid(), "http_url": node.url}).save(context)
    serving = threading.Thread(target=node.server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield node
    node.server.shutdown()
    serving.join()
    node.server.server_close()


def told(context: Path, *words: str) -> Any:
    result = CliRunner().invoke(app, ["thread", *words, "--context", str(context), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def printed(context: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["thread", *words, "--context", str(context)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_threads_are_listed_with_what_waits(context: Path, node: Node) -> None:
    assert [item["behind"] for item in told(context, "list")] == [5]
    assert node.asked == [["case%201"]]
    head, row = [text.split() for text in printed(context, "list").splitlines() if text.strip(" ─")]
    assert row[head.index("behind") + 1] == "5", "one place further: the label is of two words"


def test_a_thread_is_shown_with_what_waits(context: Path, node: Node) -> None:
    shown = told(context, "show", "case 1")
    assert (shown["behind"], shown["oldest_seconds"]) == (5, 2.5)
    assert "5 more steps wait to be decided, the oldest for 2.5 s" in printed(context, "show", "case 1")


@pytest.mark.parametrize("answer", [b"{}", b"no JSON", b'{"node": 1, "lanes": [], "threads": []}'])
def test_a_node_that_tells_something_else_costs_only_the_lag(context: Path, node: Node, answer: bytes) -> None:
    node.answer = answer
    assert told(context, "list")[0]["behind"] is None
    assert "behind" not in printed(context, "list")


def test_without_a_node_nothing_is_asked(context: Path) -> None:
    assert told(context, "list")[0]["behind"] is None
    shown = told(context, "show", "case 1")
    assert (shown["behind"], shown["oldest_seconds"]) == (None, None)


def test_many_threads_are_asked_for_in_parts(context: Path, node: Node) -> None:
    threads = [f"t{number}" for number in range(120)]
    assert list(lagging.thread_lags(context, threads)) == threads
    assert [len(asked) for asked in node.asked] == [50, 50, 20]


def test_the_lag_of_a_cluster_is_that_of_the_nodes_that_answer(context: Path, node: Node) -> None:
    def process(name: str, url: str, pid: int | None = 1) -> ProcessLook:
        return ProcessLook(name, pid, Stage.READY, True, 0, None, None, None, url)

    nowhere = "http://127.0.0.1:9"
    processes = [process("nats-1", nowhere), process("node-1", nowhere), process("node-2", node.url)]
    seen = ClusterLook("desk", 3, Phase.READY, 1, [*processes, process("node-3", node.url, None)])
    lag = lagging.cluster_lag(seen)
    assert {name: held.hints for name, held in lag.in_hand.items()} == {"node-2": 3}
    assert [(lane.lane, lane.waiting) for lane in lag.lanes] == [("steps", 5)]
    assert [item.thread for item in lag.threads] == ["slow"]
    assert len(node.asked) == 1
