"""Goal: what is asked of a node is answered from its store, or refused with a code. Method: HTTP in process on a node
with a real store; each answer is compared with what its five steps must give."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from relmachine.node.http import build_app
from tests.unit.observe.stored_node import StoredNode, event, on_node


def client_of(node: StoredNode) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(node)), base_url="http://127.0.0.1")


def get(folder: Path, *paths: str) -> list[httpx.Response]:
    """The answers to `paths`, asked one after the other."""

    async def ask(node: StoredNode) -> list[httpx.Response]:
        async with client_of(node) as client:
            return [await client.get(path) for path in paths]

    return on_node(folder, ask)


def test_a_thread_tells_its_normal_form_and_what_is_settled(tmp_path: Path) -> None:
    (answer,) = get(tmp_path, "/threads/case-1")
    told = answer.json()
    assert told["normal_form"] == "(receive)(check note)(reopen)(check)"
    assert told["settled"] == ["checked", "received"]
    assert (told["sequence"], told["depth"], told["tier"], told["label"]) == (5, 5, 4, "case-1")


def test_a_section_at_a_sequence_and_at_its_history_are_the_same(tmp_path: Path) -> None:
    async def ask(node: StoredNode) -> None:
        async with client_of(node) as client:
            events = (await client.get("/threads/case-1/events?after=1&limit=1")).json()["events"]
            now = (await client.get("/threads/case-1/section")).json()
            then = (await client.get("/threads/case-1/section?at=2")).json()
            there = (await client.get(f"/threads/case-1/section?at={events[0]['history']}")).json()
        assert now["fields"] == {"checked_by": "Ada", "officers": ["Ada", "Bob"]}
        assert now["settled_fields"] == {"checked_by": "Ada", "officers": ["Ada"]}
        assert then["fields"] == {"officers": ["Ada", "Bob"]}
        assert then == there

    on_node(tmp_path, ask)


def test_before_the_first_step_a_section_is_empty(tmp_path: Path) -> None:
    (answer,) = get(tmp_path, "/threads/case-1/section?at=0")
    told = answer.json()
    assert (told["fields"], told["settled_fields"], told["section_digest"]) == ({}, {}, None)


def test_settled_and_why_agree(tmp_path: Path) -> None:
    settled, checked, noted = get(
        tmp_path, "/threads/case-1/settled", "/threads/case-1/why/checked", "/threads/case-1/why/noted"
    )
    assert settled.json()["claims"] == ["checked", "received"]
    assert (checked.json()["claim"]["standing"], noted.json()["claim"]["standing"]) == ("settled", "effective")
    assert checked.json()["claim"]["asserted"]["sequence"] == 5
    assert checked.json()["claim"]["contested"]["step"] == "reopen"
    assert [line["claim"] for line in checked.json()["rests_on"]] == ["received"]


def test_lists_are_read_page_by_page(tmp_path: Path) -> None:
    async def ask(node: StoredNode) -> None:
        for name in ("case-2", "case-3"):
            await node.decide(name, event("receive", "1"))
            await node.decide(name, event("fly", "2"))
        async with client_of(node) as client:

            async def pages(path: str, items: str, key: str) -> list[list[object]]:
                found, position = [], ""
                while True:
                    page = (await client.get(f"{path}limit=2{position}")).json()
                    found.append(page[items])
                    if page[key] is None:
                        return found
                    position = f"&{key}={page[key]}"

            threads = await pages("/threads?", "threads", "after")
            events = await pages("/threads/case-1/events?", "events", "after")
            rejections = await pages("/rejected?", "rejections", "before")
            of_one = await pages("/rejected?thread=case-2&", "rejections", "before")
        assert [[line["thread"] for line in page] for page in threads] == [["case-1", "case-2"], ["case-3"]]
        assert [[line["sequence"] for line in page] for page in events] == [[1, 2], [3, 4], [5]]
        assert [[line["thread"] for line in page] for page in rejections] == [["case-3", "case-2"], []]
        assert [[line["code"] for line in page] for page in of_one] == [["unknown_step"]]

    on_node(tmp_path, ask)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/threads/nobody", 404, "not_found"),
        ("/threads/nobody/settled", 404, "not_found"),
        ("/threads/nobody/section", 404, "not_found"),
        ("/threads/nobody/events", 404, "not_found"),
        ("/threads/case-1/why/wealth", 404, "not_found"),
        (f"/threads/case-1/section?at={'0' * 68}", 404, "not_found"),
        ("/threads/case-1/section?at=yesterday", 400, "query_refused"),
        ("/threads/case-1/section?at=-1", 400, "query_refused"),
        ("/threads/case-1/section?at=9999999999999999999", 400, "query_refused"),
        ("/threads/case-1/steps/99", 404, "not_found"),
        ("/threads/case-1/steps/0", 400, "query_refused"),
        ("/threads/case-1/steps/99999999999999999999", 400, "query_refused"),
        ("/threads/case-1/steps/1?timeout=31", 429, "limit_exceeded"),
        ("/threads/case-1/steps/1?timeout=nan", 429, "limit_exceeded"),
        ("/threads/case-1/events?limit=0", 400, "query_refused"),
        ("/threads?limit=1001", 400, "query_refused"),
        ("/rejected?before=many", 400, "query_refused"),
        ("/rejected?thread=a.b", 400, "thread_name_invalid"),
        ("/threads/a.b", 400, "thread_name_invalid"),
        ("/threads/a%20b/settled", 400, "thread_name_invalid"),
        (f"/threads/{'x' * 300}/section", 400, "thread_name_invalid"),
        ("/threads/a%00b/why/received", 400, "thread_name_invalid"),
    ],
)
def test_what_cannot_be_answered_gets_a_code(tmp_path: Path, path: str, status: int, code: str) -> None:
    (answer,) = get(tmp_path, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "sentence", "witness"}


def test_a_token_with_an_escape_is_encoded_like_any_path_segment(tmp_path: Path) -> None:
    async def ask(node: StoredNode) -> None:
        await node.decide("2024%2F17", event("receive", "1"))
        async with client_of(node) as client:
            told = (await client.get("/threads/2024%252F17")).json()
        assert (told["thread"], told["label"]) == ("2024%2F17", "2024/17")

    on_node(tmp_path, ask)


@pytest.mark.parametrize(("phase", "status"), [("READY", 200), ("WORKING", 200), ("BOOTING", 503), ("CLOSING", 503)])
def test_health_is_the_phase(tmp_path: Path, phase: str, status: int) -> None:
    async def ask(node: StoredNode) -> None:
        node.phase = phase
        async with client_of(node) as client:
            answer = await client.get("/health")
        assert (answer.status_code, answer.json()) == (status, {"ready": status == 200, "phase": phase})

    on_node(tmp_path, ask)


def test_status_counts_the_store_and_the_page_shows_it(tmp_path: Path) -> None:
    status, page = get(tmp_path, "/status.json", "/")
    assert status.json()["node"]["machine"] == "permit"
    assert (status.json()["figures"]["committed"], status.json()["figures"]["settled"]) == (5, 2)
    assert "(receive)(check note)(reopen)(check)" in page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_every_route_stands_in_the_document_for_people(tmp_path: Path) -> None:
    document, page = get(tmp_path, "/openapi.json", "/docs")
    paths = document.json()["paths"]
    assert {"/threads/{thread}/steps", "/threads/{thread}/why/{claim}", "/rejected", "/health"} <= set(paths)
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["responses"]["4XX"]["content"], path
        assert path in page.text
