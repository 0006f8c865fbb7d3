"""Goal: the MCP tools compute and answer what math.md says, and teach where they refuse. Method: FastMCP's in-memory
client on a node with a real store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from mcp import MCPError

from relmachine.observe.mcp import build_mcp
from tests.unit.observe.stored_node import StoredNode, event, on_node

READING = {"publish", "normalize", "saturate", "transfer", "settled", "section", "why", "lag", "runs"}
FORKING = {"control", "fork", "merge", "obstructions", "obstruction", "resolve"}
Test = Callable[[StoredNode, "Client[Any]"], Awaitable[None]]


def over_mcp(folder: Path, test: Test) -> None:
    async def ask(node: StoredNode) -> None:
        async with Client(build_mcp(node)) as client:
            await test(node, client)

    on_node(folder, ask)


async def call(client: Client[Any], tool: str, **arguments: object) -> CallToolResult:
    return await client.call_tool(tool, arguments, raise_on_error=False)


async def answer(client: Client[Any], tool: str, **arguments: object) -> dict[str, Any]:
    result = await call(client, tool, **arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def history(client: Client[Any], at: int | None = None) -> str:
    return (await answer(client, "section", thread="case-1", at=at))["history"]


def test_every_tool_says_what_it_takes_and_answers(tmp_path: Path) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert set(tools) == READING | FORKING
        for tool in tools.values():
            assert tool.description
            assert tool.output_schema
            assert all("description" in item for item in tool.input_schema["properties"].values())

    over_mcp(tmp_path, test)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        (["receive"], "(receive)"),
        (["receive", "note", "check"], "(receive)(check note)"),
        (["receive", "check", "note"], "(receive)(check note)"),
        (["receive", "check", "reopen", "note"], "(receive)(check note)(reopen)"),
        (["check", "check"], "(check)(check)"),
    ],
)
def test_normalize_prints_the_foata_normal_form(tmp_path: Path, steps: list[str], text: str) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        assert (await call(client, "normalize", steps=steps)).data == text

    over_mcp(tmp_path, test)


# S = {received, checked}, R = all: only the judgement `noted` is not stable under σ, and nothing can veto.
@pytest.mark.parametrize(
    ("tool", "element", "result"),
    [
        ("saturate", [], []),
        ("saturate", ["received"], ["noted", "received"]),
        ("saturate", ["checked", "received"], ["checked", "noted", "received"]),
        ("transfer", [], []),
        ("transfer", ["received"], ["received"]),
        ("transfer", ["noted", "received"], ["noted", "received"]),
    ],
)
def test_saturate_and_transfer_are_the_nuclei(tmp_path: Path, tool: str, element: list[str], result: list[str]) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        told = await answer(client, tool, history=await history(client), element=element)
        assert (told["element"], told["result"], told["fixed"]) == (element, result, element == result)

    over_mcp(tmp_path, test)


def test_histories_that_assert_the_same_claims_share_a_fiber(tmp_path: Path) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        fibers = [
            (await answer(client, "saturate", history=await history(client, at), element=[]))["fiber"]
            for at in (0, 1, 3, 5)
        ]
        assert fibers[2] == fibers[3]
        assert len(set(fibers)) == 3

    over_mcp(tmp_path, test)


def test_settled_section_and_why(tmp_path: Path) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        settled = await answer(client, "settled", thread="case-1")
        section = await answer(client, "section", thread="case-1", at=settled["history"])
        assert settled["claims"] == ["checked", "received"]
        assert section["settled_fields"] == {"checked_by": "Ada", "officers": ["Ada"]}
        assert (await answer(client, "why", thread="case-1", claim="noted"))["claim"]["standing"] == "effective"

    over_mcp(tmp_path, test)


def test_publish_commits_and_repeats_safely(tmp_path: Path) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        first = await answer(client, "publish", thread="case-2", step="receive", data={}, id="1")
        again = await answer(client, "publish", thread="case-2", step="receive", data={}, id="1")
        other = await answer(client, "publish", thread="case-2", step="receive", data={})
        assert (first["committed"]["outcome"], first["committed"]["repeated"]) == ("committed", False)
        assert again["committed"] == {**first["committed"], "repeated": True}
        assert other["committed"]["event"] != first["committed"]["event"]

    over_mcp(tmp_path, test)


def test_publish_tells_what_is_not_decided_yet(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: Client[Any]) -> None:
        node.deaf = True
        told = await answer(client, "publish", thread="case-2", step="receive", data={})
        assert told == {
            "accepted": {"thread": "case-2", "sequence": 6, "duplicate": False, "key": ""},
            "committed": None,
            "opened": None,
            "held": None,
        }

    over_mcp(tmp_path, test)


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "taught"),
    [
        ("normalize", {"steps": ["receive", "fly"]}, "unknown_step", "reopen"),
        ("publish", {"thread": "t", "step": "fly", "data": {}}, "unknown_step", "fly"),
        ("publish", {"thread": "t", "step": "receive", "data": {"officer": 7}}, "payload_invalid", "officer"),
        ("publish", {"thread": "a b", "step": "receive", "data": {}}, "thread_name_invalid", "%XX"),
        ("publish", {"thread": "t", "step": "receive", "data": "none"}, "query_refused", "data"),
        ("saturate", {"history": "HEAD", "element": ["checked"]}, "query_refused", "received"),
        ("transfer", {"history": "HEAD", "element": ["wealth"]}, "query_refused", "wealth"),
        ("saturate", {"history": "0" * 68, "element": []}, "not_found", "0000"),
        ("saturate", {"history": "case-1", "element": []}, "query_refused", "68 hexadecimal"),
        ("settled", {"thread": "nobody"}, "not_found", "nobody"),
        ("section", {"thread": "case-1", "at": "yesterday"}, "query_refused", "yesterday"),
        ("why", {"thread": "case-1", "claim": "wealth"}, "not_found", "checked"),
        ("why", {"thread": "case-1"}, "query_refused", "claim"),
    ],
)
def test_a_refusal_teaches(tmp_path: Path, tool: str, arguments: dict[str, Any], code: str, taught: str) -> None:
    async def test(_: StoredNode, client: Client[Any]) -> None:
        head = await history(client)
        filled = {name: head if value == "HEAD" else value for name, value in arguments.items()}
        result = await call(client, tool, **filled)
        assert result.is_error
        text = result.content[0].text  # pyright: ignore[reportAttributeAccessIssue]
        assert text.startswith(f"{code}: ")
        assert taught in text
        assert result.structured_content is not None
        assert result.structured_content["code"] == code

    over_mcp(tmp_path, test)


def test_a_section_is_a_resource(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: Client[Any]) -> None:
        await node.decide("2024%2F17", event("receive", "1", officer="Eve"))
        (template,) = await client.list_resource_templates()
        assert template.uri_template == "section://{machine}/{thread}"
        (content,) = await client.read_resource("section://permit/2024%252F17")
        assert '"officers":["Eve"]' in content.text  # pyright: ignore[reportAttributeAccessIssue]
        for uri, code in (("section://other/case-1", "machine_mismatch"), ("section://permit/nobody", "not_found")):
            with pytest.raises(MCPError, match=code):
                await client.read_resource(uri)

    over_mcp(tmp_path, test)
