"""Goal: a client that knows only HTTP can publish, learn the outcome and read the answers. Method: a real node (NATS,
SQLite, all gates) behind a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.serving_node import ServingNode, serving_node, small_machine

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingNode]:
    with serving_node(small_machine(), tmp_path_factory.mktemp("node")) as running:
        yield running


def publish(serving: ServingNode, thread: str, step: str, id: str, **data: object) -> httpx.Response:
    event = {"specversion": "1.0", "source": "test", "id": id, "type": step, "subject": thread, "data": data}
    return serving.client.post(f"/threads/{thread}/steps", params={"wait": "settled"}, content=json.dumps(event))


def test_a_thread_from_its_first_step_to_its_settled_section(serving: ServingNode) -> None:
    steps = [
        ("receive", {"officer": "Ada", "at": "2024-01-02T03:04:05+01:00"}),
        ("check", {"officer": "Ada", "fee": 30}),
        ("note", {"officer": "Bob"}),
        ("check", {"officer": "Eve", "fee": 12}),
        ("decide", {"officer": "Eve"}),
    ]
    for place, (step, data) in enumerate(steps):
        answer = publish(serving, "whole", step, str(place), **data)
        assert answer.status_code == 200, answer.text
    told = serving.client.get("/threads/whole").json()
    assert told["normal_form"] == "(receive)(check note)(check)(decide)"
    assert told["settled"] == ["checked", "decided", "received"]
    section = serving.client.get("/threads/whole/section").json()
    assert section["fields"] == {
        "decided_by": "Eve",
        "fee": 42,
        "last_at": "2024-01-02T02:04:05.000000Z",
        "officers": ["Ada", "Bob", "Eve"],
    }
    assert section["settled_fields"]["officers"] == ["Ada", "Eve"]


def test_a_contest_supersedes_and_the_transitions_say_so(serving: ServingNode) -> None:
    publish(serving, "contest", "receive", "1")
    checked = publish(serving, "contest", "check", "2").json()
    assert [(item["claim"], item["kind"]) for item in checked["transitions"]] == [("checked", "newly")]
    reopened = publish(serving, "contest", "recheck", "3").json()
    assert [(item["claim"], item["kind"]) for item in reopened["transitions"]] == [("checked", "superseded")]
    why = serving.client.get("/threads/contest/why/checked").json()
    assert (why["claim"]["standing"], why["claim"]["contested"]["step"]) == ("contested", "recheck")


@pytest.mark.parametrize(
    ("code", "before", "step", "data"),
    [
        ("requires", ["receive"], "decide", {}),
        ("contest_absent", ["receive"], "recheck", {}),
        ("once", ["receive", "check", "decide"], "decide", {"officer": "Bob"}),
    ],
)
def test_a_step_against_the_laws_is_refused_by_gate_3_with_its_witness(
    serving: ServingNode, code: str, before: list[str], step: str, data: dict[str, object]
) -> None:
    thread = f"laws-{code}"
    for place, name in enumerate(before):
        assert publish(serving, thread, name, str(place), officer="Ada").status_code == 200
    head = serving.client.get(f"/threads/{thread}").json()["history"]
    refused = publish(serving, thread, step, "last", **data)
    assert (refused.status_code, refused.json()["code"], refused.json()["gate"]) == (409, code, "laws")
    assert refused.json()["witness"]
    listed = serving.client.get("/rejected", params={"thread": thread}).json()["rejections"]
    assert [(item["sequence"], item["code"]) for item in listed] == [(refused.json()["sequence"], code)]
    assert serving.client.get(f"/threads/{thread}").json()["history"] == head


def test_a_step_published_again_has_its_recorded_outcome(serving: ServingNode) -> None:
    first = publish(serving, "twice", "receive", "1", officer="Ada").json()
    again = publish(serving, "twice", "receive", "1", officer="Ada")
    assert (again.status_code, again.json()) == (200, {**first, "repeated": True})
    assert serving.client.get("/threads/twice").json()["depth"] == 1


def test_a_refused_step_stays_refused_under_its_id(serving: ServingNode) -> None:
    first = publish(serving, "again", "check", "1").json()
    publish(serving, "again", "receive", "2")
    assert publish(serving, "again", "check", "1").json() == {**first, "repeated": True}
    assert publish(serving, "again", "check", "3").status_code == 200


def test_many_clients_at_once_lose_nothing(serving: ServingNode) -> None:
    def one(place: int) -> int:
        answer = publish(serving, f"busy-{place % 4}", "receive", str(place), officer=f"officer {place}")
        return answer.json()["sequence"]

    with ThreadPoolExecutor(8) as pool:
        sequences = list(pool.map(one, range(40)))
    assert len(set(sequences)) == 40
    for place in range(4):
        assert len(serving.client.get(f"/threads/busy-{place}/section").json()["fields"]["officers"]) == 10


def test_the_outcome_of_an_accepted_step_can_be_asked_for_later(serving: ServingNode) -> None:
    event = {"specversion": "1.0", "source": "test", "id": "1", "type": "receive", "data": {}}
    accepted = serving.client.post("/threads/later/steps", content=json.dumps(event))
    assert accepted.status_code == 202
    outcome = serving.client.get(accepted.headers["location"], params={"timeout": 10})
    assert (outcome.status_code, outcome.json()["sequence"]) == (200, accepted.json()["sequence"])


def test_a_client_that_sends_too_much_reads_the_reason(serving: ServingNode) -> None:
    """Byte by byte as the client sees it: it writes everything before it reads."""
    url = serving.client.base_url
    body = b"x" * (8 * 1024 * 1024)
    head = f"POST /threads/t/steps HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_page_status_and_health_of_a_node_at_work(serving: ServingNode) -> None:
    publish(serving, "shown", "receive", "1")
    publish(serving, "shown", "check", "1a", officer=7)
    page = serving.client.get("/")
    assert (page.status_code, "shown" in page.text, "(receive)" in page.text) == (200, True, True)
    status = serving.client.get("/status.json").json()
    assert (status["node"]["machine"], status["node"]["phase"]) == ("small", "READY")
    assert status["figures"]["committed"] > 0
    assert serving.client.get("/health").json() == {"ready": True, "phase": "READY"}
    assert serving.client.get("/docs").status_code == 200
