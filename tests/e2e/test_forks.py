"""Goal: fork, merge and resolve work from outside, over HTTP, MCP and the command line. Method: a real node (NATS,
SQLite, all gates) with everything that people and agents use to reach it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
from fastmcp import Client
from typer.testing import CliRunner

from relmachine.algebra.identity import hash_of
from relmachine.cli.app import app
from relmachine.store import reading
from relmachine.store.verify import verify
from tests.e2e.serving_node import ServingNode, serving_node, small_machine

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[ServingNode]:
    with serving_node(small_machine(), folder) as running:
        yield running


def publish(serving: ServingNode, thread: str, step: str, id: str, **data: object) -> httpx.Response:
    event = {"specversion": "1.0", "source": "test", "id": id, "type": step, "subject": thread, "data": data}
    return serving.client.post(f"/threads/{quote(thread)}/steps", params={"wait": "settled"}, content=json.dumps(event))


def post(serving: ServingNode, path: str, **members: object) -> httpx.Response:
    return serving.client.post(path, content=json.dumps(members))


def head(serving: ServingNode, thread: str) -> str:
    return str(serving.client.get(f"/threads/{thread}").json()["history"])


def test_two_threads_work_apart_and_are_one_history_again(serving: ServingNode) -> None:
    publish(serving, "apart", "receive", "a1", officer="Ada")
    at = head(serving, "apart")
    publish(serving, "apart", "check", "a2", officer="Ada", fee=1)
    forked = post(serving, "/threads/apart/forks", **{"at": at, "as": "apart-2"})
    assert forked.status_code == 200, forked.text
    told = forked.json()
    assert (told["record"], told["thread"], told["history"]) == ("_fork", "apart-2", at)
    assert told["details"] == {"source": "apart", "events": 1}
    assert [item["claim"] for item in told["transitions"]] == ["received"], "a fork's feed begins with what is settled"
    again = publish(serving, "apart-2", "receive", "a1", officer="Ada").json()
    assert (again["repeated"], again["history"], again["event"]) == (True, at, again["event"])
    publish(serving, "apart-2", "register", "b1", number="7")
    publish(serving, "apart-2", "withdraw", "b2")
    merged = post(serving, "/threads/apart/merges", **{"from": "apart-2", "id": "m1"}).json()
    assert merged["details"] == {"source": "apart-2", "events": 2, "left_out": 0}
    assert [item["claim"] for item in merged["transitions"]] == ["registered"]
    whole = serving.client.get("/threads/apart").json()
    assert whole["normal_form"] == "(receive register withdraw)(check)"
    assert whole["settled"] == ["checked", "received", "registered"]
    assert whole["history"] == merged["history"]
    assert post(serving, "/threads/apart/merges", **{"from": "apart-2", "id": "m1"}).json()["repeated"]
    refused = publish(serving, "apart-2", "check", "b3")
    assert (refused.status_code, refused.json()["code"]) == (409, "thread_closed")
    assert refused.json()["witness"] == {"into": "apart"}
    events = serving.client.get("/threads/apart/events", params={"limit": 3}).json()
    assert [event["step"] for event in events["events"]] == ["receive", "check", "register", "withdraw"]


def test_what_depends_on_each_other_is_an_obstruction_until_somebody_resolves_it(serving: ServingNode) -> None:
    for place, step in enumerate(("receive", "check")):
        publish(serving, "clash", step, f"c{place}")
    forked = post(serving, "/threads/clash/forks", **{"as": "clash-2"})
    assert forked.status_code == 200, forked.text
    publish(serving, "clash", "decide", "c3", officer="Ada")
    publish(serving, "clash-2", "decide", "d1", officer="Bob")
    publish(serving, "clash-2", "register", "d2", number="8")
    before = head(serving, "clash"), head(serving, "clash-2")
    refused = post(serving, "/threads/clash/merges", **{"from": "clash-2"})
    assert (refused.status_code, refused.json()["code"]) == (409, "obstructed"), refused.text
    assert before == (head(serving, "clash"), head(serving, "clash-2")), "nothing is merged"
    (line,) = serving.client.get("/obstructions", params={"thread": "clash"}).json()["obstructions"]
    assert refused.json()["witness"] == {"pairs": 1, "obstructions": [line["obstruction"]]}
    shown = serving.client.get(f"/obstructions/{line['obstruction']}").json()
    assert (shown["disagreement"], shown["field"]) == ("once", "decided_by")
    sides = [(side["thread"], side["value"], side["events"][0]["step"]) for side in shown["sides"]]
    assert sides == [("clash", '"Ada"', "decide"), ("clash-2", '"Bob"', "decide")]
    path = f"/obstructions/{line['obstruction']}/resolution"
    assert post(serving, path, keep="apart", reason="?").json()["code"] == "not_found"
    resolved = post(serving, path, keep="clash", reason="Ada was first", principal="eve")
    assert resolved.json()["record"] == "_resolve", resolved.text
    assert post(serving, path, keep="clash-2", reason="?").json()["code"] == "already_resolved"
    merged = post(serving, "/threads/clash/merges", **{"from": "clash-2"}).json()
    assert merged["details"] == {"source": "clash-2", "events": 1, "left_out": 1}
    assert serving.client.get("/threads/clash").json()["normal_form"] == "(receive register)(check)(decide)"


def test_the_command_line_forks_merges_and_resolves(serving: ServingNode, folder: Path) -> None:
    def relm(*arguments: str, code: int = 0) -> Any:
        found = CliRunner().invoke(app, [*arguments, "--context", str(folder), "--json"])
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if code == 0 else json.loads(found.stderr)["error"]

    publish(serving, "typed", "receive", "t1")
    publish(serving, "typed", "check", "t2")
    at = head(serving, "typed")
    assert relm("thread", "fork", "typed", "--at", at)["thread"] == f"typed~{hash_of(at)[:8]}"
    relm("thread", "fork", "typed", "--at", at, "--as", "typed two")
    publish(serving, "typed", "decide", "t3", officer="Ada")
    publish(serving, "typed%20two", "decide", "t4", officer="Bob")
    refused = relm("thread", "merge", "typed", "typed two", code=1)
    assert refused["code"] == "obstructed"
    (line,) = relm("obstructions", "list", "--thread", "typed", "--open")
    shown = relm("obstructions", "show", line["obstruction"])
    assert [side["value"] for side in shown["sides"]] == ['"Ada"', '"Bob"']
    relm("obstructions", "resolve", line["obstruction"], "--keep", "typed", "--reason", "first come")
    assert relm("obstructions", "list", "--thread", "typed", "--open") == []
    assert relm("thread", "merge", "typed", "typed two")["details"]["left_out"] == 1
    told = relm("thread", "show", "typed two")
    assert (told["root"], told["forked"]["at"], told["closed"]["into"]) == ("typed", at, "typed")
    plain = CliRunner().invoke(app, ["thread", "show", "typed two", "--context", str(folder)])
    assert "closed at sequence" in plain.stdout
    assert relm("thread", "fork", "typed", "--as", "typed", code=1)["code"] == "thread_not_new"


def test_an_agent_forks_and_merges(serving: ServingNode) -> None:
    async def work() -> None:
        async with Client(f"{serving.client.base_url}/mcp/") as client:
            publish(serving, "agent", "receive", "g1")
            forked = await client.call_tool("fork", {"thread": "agent", "name": "agent-2"})
            assert cast(Any, forked.structured_content)["applied"]["thread"] == "agent-2"
            publish(serving, "agent-2", "withdraw", "g2")
            publish(serving, "agent", "withdraw", "g3")
            with pytest.raises(Exception, match="obstructed"):
                await client.call_tool("merge", {"thread": "agent", "other": "agent-2"})
            found = await client.call_tool("obstructions", {"thread": "agent"})
            (line,) = cast(Any, found.structured_content)["obstructions"]
            assert line["witness"][0]["rule"]
            await client.call_tool(
                "resolve", {"obstruction": line["obstruction"], "keep": "agent", "reason": "once is enough"}
            )
            merged = await client.call_tool("merge", {"thread": "agent", "other": "agent-2"})
            assert cast(Any, merged.structured_content)["applied"]["details"]["left_out"] == 1

    asyncio.run(work())


def test_the_store_verifies_after_all_that(serving: ServingNode) -> None:
    report = serving.run(verify(serving.node.store))
    assert report.fault is None, report.fault
    assert serving.run(reading.totals(serving.node.store)).committed > 0
