"""Goal: bad input gets a coded error, changes nothing else, and the node goes on. Method: one line per case, sent over
HTTP and as a raw NATS message; heads and figures are compared before and after, then a good step commits."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import nats
import nats.errors
import nats.js.errors
import pytest

from relmachine.errors import RelmError
from relmachine.node.log_replay import Target, replay_log
from relmachine.store import reading
from tests.e2e.serving_node import ServingNode, serving_node, small_machine

pytestmark = pytest.mark.process

MIB = 1024 * 1024


def event(**changes: object) -> dict[str, object]:
    """A good step, with members changed; a member changed to `...` is left out."""
    good: dict[str, object] = {
        "specversion": "1.0",
        "id": "x",
        "source": "test",
        "type": "receive",
        "data": {"officer": "Ada"},
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def body(**changes: object) -> bytes:
    return json.dumps(event(**changes)).encode()


def nested(depth: int) -> object:
    return {"a": nested(depth - 1)} if depth else 1


@dataclass(frozen=True)
class Case:
    """A bad message: its bytes, the code it gets, and its HTTP status. `token` is the step token of its subject."""

    body: bytes
    code: str
    status: int
    token: str = "receive"


CASES: Mapping[str, Case] = {
    # not JSON
    "empty": Case(b"", "not_json", 400),
    "prose": Case(b"receive it, please", "not_json", 400),
    "cut off": Case(body()[:-9], "not_json", 400),
    "not UTF-8": Case(b'{"id":"\xff"}', "not_json", 400),
    "array": Case(b"[1,2]", "envelope_invalid", 422),
    "null": Case(b"null", "envelope_invalid", 422),
    # wrong types
    "id is a number": Case(body(id=7), "envelope_invalid", 422),
    "data is a list": Case(body(data=[1]), "envelope_invalid", 422),
    "time is no time": Case(body(time="yesterday"), "envelope_invalid", 422),
    "officer is a number": Case(body(data={"officer": 7}), "payload_invalid", 422),
    "fee is text": Case(body(type="check", data={"fee": "7"}), "payload_invalid", 422, "check"),
    "fee is a fraction": Case(body(type="check", data={"fee": 7.5}), "payload_invalid", 422, "check"),
    "datetime without zone": Case(body(data={"at": "2024-01-02T03:04:05"}), "payload_invalid", 422),
    # missing members
    "no id": Case(body(id=...), "envelope_invalid", 422),
    "empty id": Case(body(id=""), "envelope_invalid", 422),
    "id of 300 characters": Case(body(id="i" * 300), "envelope_invalid", 422),
    "no source": Case(body(source=...), "envelope_invalid", 422),
    "no type": Case(body(type=...), "envelope_invalid", 422),
    "no required member": Case(body(type="register", data={}), "payload_invalid", 422, "register"),
    # extra members
    "unknown attribute": Case(body(colour="red"), "envelope_invalid", 422),
    "unknown payload member": Case(body(data={"officer": "Ada", "colour": "red"}), "payload_invalid", 422),
    # too large, too deep
    "just over the limit": Case(body(data={"officer": "A" * (256 * 1024)}), "payload_too_large", 413),
    "deep nesting": Case(body(data={"officer": nested(64)}), "payload_too_deep", 400),
    "very deep nesting": Case(b'{"id":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "payload_too_deep", 400),
    # what the machine does not know
    "unknown step": Case(body(type="fly"), "unknown_step", 422, "fly"),
    "activity without a step": Case(body(type="T99 Fly"), "unknown_step", 422, "_"),
    "another thread's": Case(body(subject="elsewhere"), "thread_mismatch", 422),
    "another machine's": Case(body(machine="large"), "machine_mismatch", 422),
    "wrong machine version": Case(body(machineversion="2"), "machine_version", 422),
    "future schema version": Case(body(schemaversion=2), "schema_version", 422),
    # numbers and text that JSON cannot say
    "NaN": Case(body(type="check", data={"fee": float("nan")}), "number_invalid", 400, "check"),
    "infinity": Case(body(type="check", data={"fee": float("inf")}), "number_invalid", 400, "check"),
    "integer beyond 2^53": Case(body(type="check", data={"fee": 2**60}), "number_invalid", 400, "check"),
    "lone surrogate": Case(body(data={"officer": "\ud800"}), "text_invalid", 400),
    "lone surrogate in the id": Case(body(id="\ud800"), "text_invalid", 400),
    "lone surrogate as a name": Case(body(data={"\udc00": 1}), "text_invalid", 400),
}

THREADS: Mapping[str, str] = {
    "dots": "case.1.2",
    "spaces": "case 1",
    "300 characters": "c" * 300,
    "wildcard": "case*",
    "half an escape": "case%2",
}
"""Names that no thread may have, as people type them."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingNode]:
    with serving_node(small_machine(), tmp_path_factory.mktemp("node")) as running:
        publish(running, "other", id="seed")
        yield running


def publish(serving: ServingNode, thread: str, **changes: object) -> httpx.Response:
    """Publish a step that must commit."""
    answer = serving.client.post(f"/threads/{thread}/steps?wait=settled", content=body(**changes))
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "committed"
    return answer


def snapshot(serving: ServingNode) -> dict[str, Any]:
    """Everything that committing would change: every head with its depth, and the figures."""

    async def read() -> dict[str, Any]:
        store = serving.node.store
        heads = await store.select("SELECT thread, head FROM threads ORDER BY thread")
        events = await store.select("SELECT count(*) FROM thread_events")
        transitions = await store.select("SELECT count(*) FROM transitions")
        refused = await store.select("SELECT thread, seq, code FROM rejections ORDER BY thread, seq")
        return {
            "heads": dict(heads.rows),
            "events": events.rows[0][0],
            "transitions": transitions.rows[0][0],
            "rejections": list(refused.rows),
        }

    return serving.run(read())


def raw_publish(serving: ServingNode, subject: str, content: bytes) -> int:
    """Publish past the interface; returns the stream sequence."""

    async def send() -> int:
        connection = await nats.connect(serving.node.stream.url)
        try:
            return (await connection.jetstream().publish(subject, content, timeout=2)).seq
        finally:
            await connection.close()

    return serving.run(send())


def slug(name: str) -> str:
    return quote(name.replace(" ", "-").replace("'", ""), safe="").replace("%", "-").replace("^", "-")


@pytest.mark.parametrize("name", CASES)
def test_over_http_it_is_refused_early_and_leaves_no_trace(serving: ServingNode, name: str) -> None:
    case, thread = CASES[name], f"http-{slug(name)}"
    before = snapshot(serving)
    answer = serving.client.post(f"/threads/{thread}/steps?wait=settled", content=case.body)
    assert (answer.status_code, answer.json()["code"]) == (case.status, case.code)
    assert answer.json()["sentence"]
    assert isinstance(answer.json()["witness"], dict)
    assert snapshot(serving) == before
    publish(serving, thread)


@pytest.mark.parametrize("name", CASES)
def test_past_the_interface_it_becomes_a_rejection_and_nothing_else(serving: ServingNode, name: str) -> None:
    case, thread = CASES[name], f"raw-{slug(name)}"
    publish(serving, thread, id="before")
    before = snapshot(serving)
    sequence = raw_publish(serving, f"relm.small.step.{thread}.{case.token}", case.body)
    outcome = serving.run(serving.node.outcome(thread, sequence, 10))
    assert outcome is not None
    after = snapshot(serving)
    assert after["rejections"] == sorted([*before["rejections"], (thread, sequence, case.code)])
    assert {**after, "rejections": None} == {**before, "rejections": None}
    told = serving.client.get(f"/threads/{thread}/steps/{sequence}")
    assert (told.status_code, told.json()["code"]) == (case.status, case.code)
    publish(serving, thread, id="after")


@pytest.mark.parametrize("name", THREADS)
def test_over_http_a_bad_thread_name_is_refused(serving: ServingNode, name: str) -> None:
    before = snapshot(serving)
    path = f"/threads/{quote(THREADS[name], safe='')}"
    for answer in (serving.client.post(f"{path}/steps", content=body()), serving.client.get(path)):
        assert (answer.status_code, answer.json()["code"]) == (400, "thread_name_invalid")
    assert snapshot(serving) == before
    publish(serving, "other", id=f"after {name}")


def test_past_the_interface_a_name_of_300_characters_is_refused(serving: ServingNode) -> None:
    before, thread = snapshot(serving), THREADS["300 characters"]
    sequence = raw_publish(serving, f"relm.small.step.{thread}.receive", body())
    assert serving.run(serving.node.outcome(thread, sequence, 10)) is not None
    after = snapshot(serving)
    assert after["rejections"] == sorted([*before["rejections"], (thread, sequence, "thread_name_invalid")])
    assert (after["events"], after["transitions"]) == (before["events"], before["transitions"])
    assert {name: after["heads"][name] for name in before["heads"]} == before["heads"]
    publish(serving, "other", id="after 300 characters")


def test_past_the_interface_a_name_with_dots_is_no_subject_of_the_stream(serving: ServingNode) -> None:
    before = snapshot(serving)
    with pytest.raises(nats.js.errors.NoStreamResponseError):
        raw_publish(serving, "relm.small.step.case.1.2.receive", body())
    assert snapshot(serving) == before
    publish(serving, "other", id="after dots")


def test_2_mib_over_http(serving: ServingNode) -> None:
    before = snapshot(serving)
    answer = serving.client.post("/threads/big/steps", content=body(data={"officer": "A" * (2 * MIB)}))
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert answer.json()["witness"]["payload_bytes_max"] == 256 * 1024
    assert snapshot(serving) == before
    publish(serving, "big")


def test_2_mib_past_the_interface(serving: ServingNode) -> None:
    before = snapshot(serving)
    with pytest.raises(nats.errors.MaxPayloadError):
        raw_publish(serving, "relm.small.step.big.receive", body(data={"officer": "A" * (2 * MIB)}))
    assert snapshot(serving) == before
    publish(serving, "big", id="after")


def test_the_same_id_with_another_payload_over_http(serving: ServingNode) -> None:
    first = publish(serving, "conflict", id="same", data={"officer": "Ada"}).json()
    before = snapshot(serving)
    answer = serving.client.post(
        "/threads/conflict/steps?wait=settled", content=body(id="same", data={"officer": "Bob"})
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "id_conflict")
    assert snapshot(serving) == before
    again = serving.client.post(
        "/threads/conflict/steps?wait=settled", content=body(id="same", data={"officer": "Ada"})
    )
    assert (again.status_code, again.json()["event"]) == (200, first["event"])
    assert snapshot(serving) == before


def test_the_same_id_with_another_payload_past_the_interface(serving: ServingNode) -> None:
    publish(serving, "conflict-raw", id="same", data={"officer": "Ada"})
    before = snapshot(serving)
    changed = body(id="same", data={"officer": "Bob"})
    sequence = raw_publish(serving, "relm.small.step.conflict-raw.receive", changed)
    assert serving.run(serving.node.outcome("conflict-raw", sequence, 10)) is not None
    after = snapshot(serving)
    assert after["rejections"] == sorted([*before["rejections"], ("conflict-raw", sequence, "id_conflict")])
    assert {**after, "rejections": None} == {**before, "rejections": None}
    publish(serving, "conflict-raw", id="after")


TRACE = (
    '<trace><string key="concept:name" value="case 1"/><event>'
    '<string key="concept:name" value="Receive"/></event></trace>'
)
XES = '<?xml version="1.0"?><log xmlns="http://www.xes-standard.org/">{}</log>'

LOGS: Mapping[str, tuple[bytes, str]] = {
    "truncated gz": (gzip.compress(XES.format(TRACE * 5000).encode())[:-20], "log_truncated"),
    "damaged gz": (b"\x1f\x8b" + b"\x00" * 100, "log_invalid"),
    "no traces": (XES.format("").encode(), "log_empty"),
    "nothing at all": (b"", "log_empty"),
    "not XML": (b"<log><trace></log>", "log_invalid"),
    "neither form": (b"PK\x03\x04", "log_invalid"),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_bad_log_is_refused_before_anything_is_published(serving: ServingNode, tmp_path: Path, name: str) -> None:
    content, code = LOGS[name]
    log = tmp_path / "log"
    log.write_bytes(content)
    machine = small_machine()
    machine.ingest_xes(names={"Receive": "receive"}, payload={"officer": "event:org:resource"})
    before = snapshot(serving)
    target = Target(serving.node.stream.publisher, serving.node.store, [])
    with pytest.raises(RelmError) as caught:
        serving.run(replay_log(target, machine, log))
    assert caught.value.code == code
    assert snapshot(serving) == before
    publish(serving, "other", id=f"after {name}")


def test_every_rejection_can_be_read_and_the_node_is_ready(serving: ServingNode) -> None:
    raw_publish(serving, "relm.small.step.last.receive", b"nonsense")
    publish(serving, "last")
    listed = serving.client.get("/rejected?thread=last").json()["rejections"]
    assert [item["code"] for item in listed] == ["not_json"]
    assert serving.client.get("/health").json()["ready"] is True
    assert serving.run(reading.figures(serving.node.store))["rejected"] == len(snapshot(serving)["rejections"])
