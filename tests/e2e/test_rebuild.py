"""Goal: a node whose store was lost builds it again from the stream, with the threads that were told something in the
middle of their steps. Method: one whole node, its store's file taken away between two lives, both stores compared."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from relmachine.node.store_opening import STORE_FILE
from relmachine.store.verify import verify
from tests.e2e.serving_node import ServingNode, serving_node, small_machine

pytestmark = pytest.mark.process

SECONDS_MAX = 20.0
THREADS = ("stopped", "closed", "paused", "went-on")
SAME = (
    "SELECT thread, label, head, epoch, seq, state, fenced FROM threads ORDER BY thread",
    "SELECT * FROM thread_events ORDER BY thread, seq, place",
    "SELECT * FROM receipts ORDER BY thread, step_key",
    "SELECT * FROM rejections ORDER BY thread, seq",
    "SELECT * FROM control_effects ORDER BY thread, control_seq",
    "SELECT * FROM foretold",
)


def publish(serving: ServingNode, thread: str, step: str, *, wait: bool = True) -> int:
    event = {"specversion": "1.0", "source": "test", "id": f"{thread} {step}", "type": step, "subject": thread}
    params = {"wait": "settled"} if wait else {}
    answer = serving.client.post(f"/threads/{thread}/steps", params=params, content=json.dumps({**event, "data": {}}))
    return answer.json()["sequence"]


def tell(serving: ServingNode, thread: str, record: str, **members: object) -> None:
    told = serving.client.post(f"/threads/{thread}/control", content=json.dumps({"record": record, **members}))
    assert told.status_code == 200, told.text


def found(serving: ServingNode) -> list[object]:
    async def ask() -> list[object]:
        assert (report := await verify(serving.node.store)).fault is None, report.fault
        return [(await serving.node.store.select(sql)).rows for sql in SAME]

    return serving.run(ask())


def test_a_lost_store_is_built_again_as_it_was(tmp_path: Path) -> None:
    with serving_node(small_machine(), tmp_path) as serving:
        for thread in THREADS:
            publish(serving, thread, "receive")
        tell(serving, "stopped", "cancel", reason="enough")
        tell(serving, "closed", "close", reason="done")
        tell(serving, "went-on", "budget", tokens=10)
        tell(serving, "paused", "pause", reason="look")
        tell(serving, "went-on", "pause", reason="look")
        last = publish(serving, "went-on", "check", wait=False)
        publish(serving, "paused", "check", wait=False)
        tell(serving, "went-on", "resume")
        for thread in ("stopped", "closed"):
            publish(serving, thread, "check")
        assert serving.client.get(f"/threads/went-on/steps/{last}", params={"timeout": 10}).status_code == 200
        before = found(serving)
    for path in tmp_path.glob(f"{STORE_FILE}*"):
        path.unlink()
    with serving_node(small_machine(), tmp_path) as serving:
        deadline = time.monotonic() + SECONDS_MAX
        while (after := found(serving)) != before:
            assert time.monotonic() < deadline, [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert [sql for sql, rows in zip(SAME, before, strict=True) if not rows] == ["SELECT * FROM foretold"]
