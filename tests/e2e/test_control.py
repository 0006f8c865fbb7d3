"""Goal: a thread is told something ahead of its steps, from outside, and it takes hold where the answer says. Method:
HTTP, the command line and MCP against one whole node."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import psutil
import pytest
from fastmcp import Client
from typer.testing import CliRunner

from relmachine.cli.app import app
from relmachine.kernel.lane import SetBudget
from relmachine.store import lane
from relmachine.store.verify import verify
from tests.e2e.serving_node import ServingNode, serving_node, small_machine

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", params=["thread", "process"])
def lane_in(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lane_in: str) -> Path:
    return tmp_path_factory.mktemp(f"control-{lane_in}")


@pytest.fixture(scope="module")
def serving(folder: Path, lane_in: str) -> Iterator[ServingNode]:
    with serving_node(small_machine(), folder, control_lane=lane_in) as node:
        yield node


def publish(serving: ServingNode, thread: str, step: str, id: str, *, wait: bool = True, **data: object) -> Any:
    event = {"specversion": "1.0", "source": "test", "id": id, "type": step, "subject": thread, "data": data}
    params = {"wait": "settled"} if wait else {}
    return serving.client.post(f"/threads/{quote(thread)}/steps", params=params, content=json.dumps(event))


def tell(serving: ServingNode, thread: str, record: str, **members: object) -> httpx.Response:
    return serving.client.post(f"/threads/{thread}/control", content=json.dumps({"record": record, **members}))


def test_a_cancelled_thread_refuses_and_its_fork_goes_on(serving: ServingNode) -> None:
    publish(serving, "gone", "receive", "g1")
    at = serving.client.get("/threads/gone").json()
    forked = serving.client.post("/threads/gone/forks", content=json.dumps({"as": "gone-2"}))
    assert forked.status_code == 200, forked.text
    told = tell(serving, "gone", "cancel", reason="enough", id="c1")
    assert told.status_code == 200, told.text
    answer = told.json()
    assert (answer["outcome"], answer["at_sequence"], answer["at_history"]) == (
        "applied",
        at["sequence"],
        at["history"],
    )
    assert (answer["epoch"], answer["repeated"]) == (1, False)
    assert tell(serving, "gone", "cancel", reason="enough", id="c1").json()["repeated"]
    assert tell(serving, "gone", "cancel", reason="really").json()["outcome"] == "unchanged"
    assert tell(serving, "gone", "cancel", reason="other", id="c1").json()["code"] == "id_conflict"
    refused = publish(serving, "gone", "check", "g2")
    assert (refused.status_code, refused.json()["code"]) == (409, "thread_cancelled")
    merged = serving.client.post("/threads/gone/merges", content=json.dumps({"from": "gone-2"}))
    assert merged.json()["code"] == "thread_cancelled", merged.text
    assert publish(serving, "gone-2", "check", "g3").status_code == 200, "its sibling is untouched"
    assert serving.client.get("/threads/gone").json()["history"] == at["history"]


def test_a_paused_thread_keeps_its_steps_and_goes_on_at_once(serving: ServingNode) -> None:
    publish(serving, "rest", "receive", "r1")
    assert tell(serving, "rest", "pause", reason="look").json()["outcome"] == "applied"
    for place, step in enumerate(("check", "note", "recheck")):
        assert publish(serving, "rest", step, f"r{place + 2}", wait=False).status_code == 202
    waiting = publish(serving, "rest", "withdraw", "r9", wait=False).json()["sequence"]
    early = serving.client.get(f"/threads/rest/steps/{waiting}", params={"timeout": 0.5})
    assert early.json()["code"] == "not_found", "nothing is decided while it rests"
    assert tell(serving, "rest", "resume").json()["outcome"] == "applied"
    outcome = serving.client.get(f"/threads/rest/steps/{waiting}", params={"timeout": 2})
    assert outcome.status_code == 200, outcome.text
    assert len(serving.client.get("/threads/rest/events").json()["events"]) == 5


def test_a_closed_thread_and_a_budget(serving: ServingNode) -> None:
    publish(serving, "done", "receive", "d1")
    assert tell(serving, "done", "budget", tokens=1000, cost=0.5).json()["outcome"] == "applied"
    found = serving.run(lane.budget_of(serving.node.store, "done"))
    assert found is not None
    assert found[0] == SetBudget(tokens=1000, cost=0.5)
    assert tell(serving, "done", "close", reason="finished").json()["outcome"] == "applied"
    refused = publish(serving, "done", "check", "d2").json()
    assert (refused["code"], refused["gate"]) == ("thread_closed", "laws")


def test_what_makes_no_sense_is_refused_with_what_to_do(serving: ServingNode) -> None:
    publish(serving, "odd", "receive", "o1")
    for members, code in (
        ({"record": "stop"}, "payload_invalid"),
        ({"record": "pause"}, "payload_invalid"),
        ({"record": "resume", "reason": "none"}, "payload_invalid"),
        ({"record": "budget"}, "payload_invalid"),
        ({"record": "budget", "tokens": -1}, "payload_invalid"),
    ):
        answer = serving.client.post("/threads/odd/control", content=json.dumps(members)).json()
        assert answer["code"] == code, answer
        assert answer["sentence"]
    assert tell(serving, "nobody", "cancel", reason="?").json()["code"] == "not_found"
    assert tell(serving, "a b", "cancel", reason="?").json()["code"] == "thread_name_invalid"


def test_the_command_line(serving: ServingNode, folder: Path) -> None:
    def relm(*arguments: str, code: int = 0) -> Any:
        found = CliRunner().invoke(app, [*arguments, "--context", str(folder), "--json"])
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if code == 0 else json.loads(found.stderr)["error"]

    publish(serving, "typed", "receive", "t1")
    assert relm("thread", "pause", "typed", "--reason", "look")["record"] == "pause"
    assert relm("thread", "resume", "typed")["outcome"] == "applied"
    assert relm("thread", "budget", "typed", "--tokens", "10", "--solver-seconds", "2")["outcome"] == "applied"
    assert relm("thread", "cancel", "typed", "--request", "1")["epoch"] == 0
    assert relm("thread", "close", "typed", "--id", "x")["epoch"] == 1
    assert relm("thread", "close", "typed", "--id", "x")["repeated"]
    plain = CliRunner().invoke(app, ["thread", "cancel", "typed", "--context", str(folder)])
    assert plain.exit_code == 0, plain.output
    assert "relm thread fork" in plain.stdout
    assert relm("thread", "cancel", "nobody", code=3)["code"] == "not_found"


def test_an_agent(serving: ServingNode) -> None:
    async def work() -> None:
        async with Client(f"{serving.client.base_url}/mcp/") as client:
            publish(serving, "agent", "receive", "a1")
            told = await client.call_tool("control", {"thread": "agent", "record": "cancel", "reason": "enough"})
            assert cast(Any, told.structured_content)["result"]["outcome"] == "applied"
            with pytest.raises(Exception, match="payload_invalid"):
                await client.call_tool("control", {"thread": "agent", "record": "pause"})

    asyncio.run(work())


def test_a_store_with_effects_of_every_record_verifies(serving: ServingNode) -> None:
    records = ("pause", "resume", "budget", "close", "cancel")
    for record in records:
        publish(serving, f"verified-{record}", "receive", f"v-{record}")
        members = {"tokens": 10} if record == "budget" else {} if record == "resume" else {"reason": "look"}
        told = tell(serving, f"verified-{record}", record, **members)
        assert told.is_success, told.text
    report = serving.run(verify(serving.node.store))
    assert report.fault is None, report.fault
    assert report.counts["control_effects"] >= len(records)


def test_a_lane_whose_process_is_killed_is_there_again(serving: ServingNode, lane_in: str) -> None:
    if lane_in == "thread":
        return  # it ends with its node
    publish(serving, "survives", "receive", "s1")
    (lane_process,) = [pid for pid in serving.node.pids() if pid in children_named("lane_child")]
    os.kill(lane_process, signal.SIGKILL)
    control = serving.node.context(running=True).control_url
    deadline = time.monotonic() + 30
    while True:
        try:
            told = httpx.post(
                f"{control}/threads/survives/control", json={"record": "cancel", "reason": "x"}, timeout=30
            )
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline
    assert told.json()["outcome"] == "applied", told.text
    assert serving.node.context(running=True).control_url == control


def children_named(word: str) -> set[int]:
    return {child.pid for child in psutil.Process().children() if word in " ".join(child.cmdline())}
