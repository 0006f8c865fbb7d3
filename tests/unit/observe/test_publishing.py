"""Goal: whoever publishes over HTTP learns exactly what became of the step. Method: a node without a stream, so that
each state of a step (early refusal, undecided, committed, refused by its turn, repeated) can be set up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from relmachine.kernel.limits import Limits
from relmachine.node.http import build_app
from tests.unit.observe.stored_node import StoredNode, event, on_node

STEPS = "/threads/case-2/steps"
Test = Callable[[StoredNode, httpx.AsyncClient], Awaitable[None]]


def over_http(folder: Path, test: Test, limits: Limits | None = None) -> None:
    async def ask(node: StoredNode) -> None:
        transport = httpx.ASGITransport(build_app(node, limits))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await test(node, client)

    on_node(folder, ask)


def test_without_waiting_it_is_accepted_and_the_location_tells_the_outcome(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        accepted = await client.post(STEPS, content=event("receive", "1"))
        assert (accepted.status_code, accepted.json()) == (
            202,
            {"thread": "case-2", "sequence": 6, "duplicate": False, "key": ""},
        )
        outcome = await client.get(accepted.headers["location"])
        assert (outcome.status_code, outcome.json()["outcome"], outcome.json()["sequence"]) == (200, "committed", 6)

    over_http(tmp_path, test)


def test_the_location_of_a_thread_with_an_escape_can_be_followed(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        accepted = await client.post("/threads/2024%252F17/steps", content=event("receive", "1"))
        assert accepted.json()["thread"] == "2024%2F17"
        assert (await client.get(accepted.headers["location"])).json()["thread"] == "2024%2F17"

    over_http(tmp_path, test)


def test_waiting_tells_the_event_the_history_and_what_it_settled(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        told = (await client.post(f"{STEPS}?wait=settled", content=event("receive", "1"))).json()
        stands = (await client.get("/threads/case-2/settled")).json()
        assert (told["outcome"], told["repeated"], told["history"]) == ("committed", False, stands["history"])
        (transition,) = told["transitions"]
        assert (transition["claim"], transition["kind"]) == ("received", "newly")
        assert transition["history_after"] == told["history"] != transition["history_before"]

    over_http(tmp_path, test)


def test_what_is_not_decided_in_time_is_still_accepted(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        node.deaf = True
        answer = await client.post(f"{STEPS}?wait=settled&timeout=0", content=event("receive", "1"))
        assert (answer.status_code, answer.json()["sequence"]) == (202, 6)

    over_http(tmp_path, test)


def test_a_repeated_step_has_the_recorded_outcome(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        first = (await client.post(f"{STEPS}?wait=settled", content=event("receive", "1"))).json()
        again = (await client.post(f"{STEPS}?wait=settled", content=event("receive", "1"))).json()
        assert again == {**first, "repeated": True}

    over_http(tmp_path, test)


def test_a_step_its_turn_refused_keeps_gate_witness_and_sequence(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        sequence = await node.decide("case-2", event("receive", "1", colour="red"))
        told = await client.get(f"{STEPS}/{sequence}")
        assert (told.status_code, told.json()["code"], told.json()["gate"]) == (422, "payload_invalid", "shape")
        assert told.json()["sequence"] == sequence
        assert "colour" in str(told.json()["witness"])

    over_http(tmp_path, test)


def test_an_early_refusal_has_no_sequence_and_leaves_no_trace(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        told = await client.post(STEPS, content=event("receive", "1", colour="red"))
        assert (told.status_code, told.json()["code"], told.json()["sequence"]) == (422, "payload_invalid", None)
        assert (await client.get("/threads/case-2")).status_code == 404
        assert (await client.get("/rejected")).json()["rejections"] == []

    over_http(tmp_path, test)


def test_a_body_beyond_the_limit_never_reaches_the_node(tmp_path: Path) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        told = await client.post(STEPS, content=b"x" * 101)
        assert (told.status_code, told.json()["code"]) == (413, "payload_too_large")
        assert told.json()["witness"]["payload_bytes_max"] == 100

    over_http(tmp_path, test, Limits(payload_bytes_max=100))


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("wait=forever", 400, "query_refused"),
        ("wait=settled&timeout=soon", 400, "query_refused"),
        ("wait=settled&timeout=-1", 429, "limit_exceeded"),
        ("wait=settled&timeout=inf", 429, "limit_exceeded"),
        ("wait=settled&timeout=30.1", 429, "limit_exceeded"),
    ],
)
def test_a_wait_that_cannot_be_is_refused_before_the_step_is_published(
    tmp_path: Path, query: str, status: int, code: str
) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        told = await client.post(f"{STEPS}?{query}", content=event("receive", "1"))
        assert (told.status_code, told.json()["code"]) == (status, code)
        assert node.sequence == 5

    over_http(tmp_path, test)


@pytest.mark.parametrize("path", [STEPS, "/mcp/"])
def test_another_sites_page_cannot_publish_through_a_visitors_browser(tmp_path: Path, path: str) -> None:
    async def test(node: StoredNode, client: httpx.AsyncClient) -> None:
        foreign = {"Origin": "https://elsewhere.example", "Content-Type": "text/plain"}
        told = await client.post(path, content=event("receive", "1"), headers=foreign)
        assert (told.status_code, told.json()["code"], node.sequence) == (403, "policy_denied", 5)

    over_http(tmp_path, test)
