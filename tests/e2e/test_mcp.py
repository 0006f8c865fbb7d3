"""Goal: an agent that knows only MCP can work with a node, and cannot keep it from closing. Method: FastMCP's client
over HTTP against a real node."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client

from relmachine.node import Node, Settings
from tests.e2e.serving_node import small_machine

pytestmark = pytest.mark.process

CLOSE_SECONDS_MAX = 10.0


def address(node: Node) -> str:
    return f"{node.context(running=True).http_url}/mcp"


async def answer(client: Client[Any], tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None
    return result.structured_content


@pytest.mark.parametrize("path", ["", "/"])
def test_an_agent_publishes_and_asks(tmp_path: Path, path: str) -> None:
    async def run() -> None:
        async with (
            Node.running(small_machine(), Settings(data_dir=tmp_path, http_port=0)) as node,
            Client(address(node) + path) as client,
        ):
            received = await answer(client, "publish", thread="case", step="receive", data={"officer": "Ada"})
            assert [item["claim"] for item in received["committed"]["transitions"]] == ["received"]
            refused = await client.call_tool(
                "publish", {"thread": "case", "step": "decide", "data": {}}, raise_on_error=False
            )
            assert refused.is_error
            assert refused.structured_content is not None
            assert (refused.structured_content["code"], refused.structured_content["gate"]) == ("requires", "laws")
            await answer(client, "publish", thread="case", step="check", data={"officer": "Bob"})
            settled = await answer(client, "settled", thread="case")
            assert settled["claims"] == ["checked", "received"]
            section = await answer(client, "section", thread="case", at=settled["history"])
            assert section["fields"] == {"officers": ["Ada", "Bob"]}
            fixed = await answer(client, "saturate", history=settled["history"], element=settled["claims"])
            assert fixed["fixed"]
            assert (await answer(client, "normalize", steps=["receive", "check"]))["result"] == "(receive)(check)"
            (content,) = await client.read_resource("section://small/case")
            assert '"history"' in content.text  # pyright: ignore[reportAttributeAccessIssue]

    asyncio.run(run())


def test_a_number_that_json_cannot_say_is_refused_and_not_made_null(tmp_path: Path) -> None:
    async def run() -> dict[str, Any]:
        arguments = '{"thread": "case", "step": "check", "data": {"fee": NaN}}'
        params = f'{{"name": "publish", "arguments": {arguments}}}'
        request = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        async with (
            Node.running(small_machine(), Settings(data_dir=tmp_path, http_port=0)) as node,
            httpx.AsyncClient(follow_redirects=True) as client,
        ):
            told = await client.post(address(node), content=request, headers=headers)
            threads = await client.get(f"{node.context(running=True).http_url}/threads")
        assert threads.json()["threads"] == []
        data = [line for line in told.text.splitlines() if line.startswith("data: ")]
        return json.loads(data[-1].removeprefix("data: "))["result"]

    result = asyncio.run(run())
    assert (result["isError"], result["structuredContent"]["code"]) == (True, "number_invalid")


def test_a_connected_agent_does_not_keep_the_node_from_closing(tmp_path: Path) -> None:
    async def run() -> float:
        async with Node.running(small_machine(), Settings(data_dir=tmp_path, http_port=0)) as node:
            client = Client(address(node))
            await client.__aenter__()
            await client.list_tools()
            closing = time.monotonic()
        took = time.monotonic() - closing
        await client.close()
        return took

    assert asyncio.run(run()) < CLOSE_SECONDS_MAX
