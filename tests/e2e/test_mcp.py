"""Goal: an agent that knows only MCP can work with a node, and cannot keep it from closing. Method: FastMCP's client
over HTTP against a real node."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.e2e.serving_node import small_machine

from relmachine.node import Node, Settings

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
