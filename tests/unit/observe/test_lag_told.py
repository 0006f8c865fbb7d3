"""Goal: HTTP, MCP and the page tell the same lag, and whoever publishes while the door is shut learns when to come
again. Method: a node without a stream whose lag is made up, its door shut, its stream silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.unit.observe.stored_node import StoredNode, event
from tests.unit.observe.test_mcp_tools import answer, call, over_mcp
from tests.unit.observe.test_page import Page
from tests.unit.observe.test_publishing import STEPS, over_http


def test_lag_is_told_over_http(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        told = (await client.get("/lag")).json()
        assert [lane["lane"] for lane in told["lanes"]] == ["steps", "journal", "out"]
        assert told["lanes"][0]["waiting"] == 6
        assert [line["thread"] for line in told["threads"]] == ["slow-0", "slow-1"]
        assert (told["threads"][0]["behind"], told["threads"][0]["oldest_seconds"]) == (4, 61.5)
        assert told["node"]["publishers_deferred"] == 7
        assert len((await client.get("/lag?limit=1")).json()["threads"]) == 1
        named = (await client.get("/lag?thread=a%2520b&thread=c")).json()["threads"]
        assert [line["thread"] for line in named] == ["a%20b", "c"]
        assert (await client.get("/status.json")).json()["lag"] == told

    over_http(tmp_path, test)


def test_a_silent_stream_is_an_error_of_lag_and_none_of_the_page(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        node.silent = True
        asked = await client.get("/lag")
        assert (asked.status_code, asked.json()["code"]) == (503, "unreachable")
        assert (await client.get("/status.json")).json()["lag"] is None
        assert "The stream does not answer" in Page((await client.get("/")).text).text

    over_http(tmp_path, test)


def test_the_page_tells_lanes_and_threads(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        shown = Page((await client.get("/")).text)
        words = shown.text.split()
        lane = words.index("steps", words.index("unacknowledged"))
        assert words[lane : lane + 6] == ["steps", "17", "6", "2", "4", "61.5"]
        thread = words.index("slow-0")
        assert words[thread : thread + 5] == ["slow-0", "4", "3", "17", "61.5"]
        assert ("a", "href", "/lag") in shown.attributes

    over_http(tmp_path, test)


def test_lag_is_told_over_mcp(tmp_path: Path) -> None:
    async def test(_: StoredNode, client: object) -> None:
        told = await answer(client, "lag")  # type: ignore[arg-type]
        assert (told["lanes"][0]["oldest_sequence"], len(told["threads"])) == (5, 2)
        named = await answer(client, "lag", threads=["case-1"])  # type: ignore[arg-type]
        assert [(line["thread"], line["behind"]) for line in named["threads"]] == [("case-1", 0)]

    over_mcp(tmp_path, test)


def test_a_shut_door_says_when_to_come_again_and_takes_nothing(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        node.shut = True
        refused = await client.post(STEPS, content=event("receive", "1"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["code"] == "overloaded"
        assert refused.json()["witness"]["undecided_steps_max"] == 100
        node.shut = False
        assert (await client.post(f"{STEPS}?wait=settled", content=event("receive", "1"))).status_code == 200

    over_http(tmp_path, test)


def test_who_still_writes_at_a_shut_door_is_heard_out_and_gets_the_answer(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        node.shut = True
        written: list[bytes] = []

        async def body() -> AsyncIterator[bytes]:
            for _ in range(8):
                written.append(b"x" * 100_000)
                yield written[-1]

        assert (await client.post(STEPS, content=body())).status_code == 503
        assert len(written) == 8, "cut off, a sender sees a broken connection and not the reason"

    over_http(tmp_path, test)


def test_over_mcp_a_shut_door_is_a_coded_error(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: object) -> None:
        node.shut = True
        result = await call(client, "publish", thread="t", step="receive", data={})  # type: ignore[arg-type]
        assert result.is_error
        assert result.structured_content is not None
        assert result.structured_content["code"] == "overloaded"
        assert result.structured_content["witness"]["retry_after_seconds"] == 1

    over_mcp(tmp_path, test)


def test_where_nobody_can_wait_a_step_is_accepted_all_the_same(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        node.crowded = True
        accepted = await client.post(f"{STEPS}?wait=settled", content=event("receive", "1"))
        assert accepted.status_code == 202
        asked = await client.get(accepted.headers["location"])
        assert (asked.status_code, asked.json()["code"], asked.headers["retry-after"]) == (503, "overloaded", "1")
        node.crowded = False
        assert (await client.get(accepted.headers["location"])).status_code == 200

    over_http(tmp_path, test)
