"""Goal: a run survives kill -9 of its node: a durable one asks nothing twice that it knew, any other begins again, and
each becomes one event. Method: a node process whose model waits for a file and counts its questions in another."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import httpx
import pytest

from relmachine.node.context import Context
from tests.chaos import waiting
from tests.chaos.processes import Cluster, wait_until

pytestmark = pytest.mark.process

RUNS = ("durable", "plain")


def test_a_durable_run_goes_on_and_any_other_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cluster = Cluster(tmp_path, Path(waiting.__file__))
    try:
        cluster.start_node()
        for step in RUNS:
            event: dict[str, object] = {"specversion": "1.0", "source": "test", "id": step, "type": step, "data": {}}
            assert httpx.post(f"{url(cluster)}/threads/{step}/steps", json=event).status_code == 202
        wait_until(lambda: {"durable second", "plain second"} <= set(asked(tmp_path)), "both to wait for an answer")
        assert rows(cluster, "SELECT thread, place FROM run_drafts") == [("durable", 0)]
        cluster.kill("node")
        cluster.start_node()
        wait_until(lambda: asked(tmp_path)["durable second"] == asked(tmp_path)["plain second"] == 2, "both again")
        (tmp_path / "released").touch()
        wait_until(lambda: len(rows(cluster, "SELECT 1 FROM run_ends")) == len(RUNS), "both to end")
    finally:
        cluster.close()
    assert asked(tmp_path) == {"durable first": 1, "durable second": 2, "plain first": 2, "plain second": 2}
    events = "SELECT t.thread, c.value FROM thread_events t JOIN thread_contributions c USING (event_id) ORDER BY 1"
    assert rows(cluster, events) == [
        ("durable", '"durable first, durable second"'),
        ("plain", '"plain first, plain second"'),
    ]
    assert rows(cluster, "SELECT * FROM run_drafts") == [], "working memory is gone once the answer is there"


def asked(folder: Path) -> Counter[str]:
    file = folder / "asked"
    return Counter(file.read_text().splitlines() if file.exists() else ())


def url(cluster: Cluster) -> str:
    return str(Context.load(cluster.folder / "data").http_url)


def rows(cluster: Cluster, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{cluster.folder / 'data' / 'store.db'}?mode=ro", uri=True) as database:
        return database.execute(sql).fetchall()
