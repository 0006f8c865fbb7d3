"""Gate 1: every kind of malformed message gets its code, everything else a candidate. Method: messages by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import orjson
import pytest
from pydantic import BaseModel, field_validator

from relmachine.algebra.identity import digest
from relmachine.errors import Code
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import GateName, Refused
from relmachine.machine.machine import Machine

AT = "2011-10-11T13:45:40.276+02:00"
AT_CANONICAL = "2011-10-11T11:45:40.276000Z"


class Review(BaseModel):
    """A payload with members of every type, which by itself would ignore unknown ones."""

    officer: str | None = None
    count: int | None = None
    share: float | None = None
    urgent: bool = False
    at: datetime | None = None
    tags: list[str] | None = None

    @field_validator("officer")
    @classmethod
    def no_trap(cls, officer: str | None) -> str | None:
        """A validator with a bug."""
        return {"trap": None}[officer] if officer == "bug" else officer


def gate() -> ShapeGate:
    """The gate of a machine with one step, `check`, that records two members."""
    machine = Machine("permit", version="7")
    machine.field("officers", "string", reducer="union")
    machine.field("last_at", "datetime", reducer="max")
    machine.field("first_at", "datetime", reducer="min")
    writes = {"officers": "resource", "last_at": "at", "first_at": "at"}
    machine.step("check", kind="process", writes=writes)
    plan = machine.plan()
    return ShapeGate(plan, Limits())


def reviews() -> ShapeGate:
    """The gate of a machine whose step has a payload model of the user's own."""
    machine = Machine("reviews")
    machine.step("review", kind="process", payload=Review)
    return ShapeGate(machine.plan(), Limits())


GATE, REVIEWS = gate(), reviews()


def envelope(**changes: object) -> dict[str, object]:
    """A good envelope, changed; a member changed to None is left out."""
    good: dict[str, object] = {"specversion": "1.0", "id": "1", "source": "log", "type": "check", "data": {}}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def message(body: Mapping[str, object] | bytes, thread: str = "case-1", token: str = "check") -> Message:
    """A message of that thread's subject."""
    return Message(5, thread, token, body if isinstance(body, bytes) else orjson.dumps(body))


def candidate(data: Mapping[str, object], **changes: object) -> Candidate:
    """What the gate makes of a payload that it should let pass."""
    found = GATE.check(message(envelope(data=data, **changes)))
    assert isinstance(found, Candidate), found
    return found


def refused(of: Message, by: ShapeGate = GATE) -> Refused:
    """The gate's refusal of a message that it should not let pass."""
    found = by.check(of)
    assert isinstance(found, Refused), found
    assert found.refusal.gate is GateName.SHAPE
    assert found.refusal.sentence
    assert found.candidate.sequence == 5
    return found


def test_a_candidate_has_the_canonical_payload_and_its_contributions() -> None:
    found = candidate({"resource": "R1", "at": AT}, principal="ann", time=AT, traceparent="00-1")
    payload = f'{{"at":"{AT_CANONICAL}","resource":"R1"}}'
    assert found == Candidate(
        sequence=5,
        thread="case-1",
        step="check",
        step_key='["log","1"]',
        payload=payload,
        payload_digest=digest("payload", payload),
        recorded=(
            ("first_at", f'"{AT_CANONICAL}"'),
            ("last_at", f'"{AT_CANONICAL}"'),
            ("officers", '"R1"'),
        ),
        principal="ann",
        time=AT_CANONICAL,
        traceparent="00-1",
    )


def test_contributions_come_by_field_however_the_plan_lists_them() -> None:
    (step,) = GATE.plan.steps
    plan = replace(GATE.plan, steps=(replace(step, recorded=step.recorded[::-1]),))
    body = message(envelope(data={"resource": "R1", "at": AT}))
    assert ShapeGate(plan, Limits()).check(body) == GATE.check(body)


def test_two_spellings_of_a_payload_have_one_digest() -> None:
    one = candidate({"resource": "R1", "at": AT})
    other = candidate({"at": "2011-10-11T11:45:40.276Z", "resource": "R1"})
    assert one.payload_digest == other.payload_digest
    assert one.payload_digest != candidate({"resource": "R2", "at": AT}).payload_digest


def test_a_member_that_is_absent_or_null_contributes_nothing() -> None:
    assert candidate({"resource": None, "at": None}) == candidate({})
    assert candidate({}).recorded == ()
    assert candidate({}).payload == "{}"


def test_matching_address_attributes_are_fine() -> None:
    assert candidate({}, subject="case-1", machine="permit", machineversion="7").thread == "case-1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", Code.NOT_JSON),
        (b"{", Code.NOT_JSON),
        (b"\xff", Code.NOT_JSON),
        (b"[]", Code.ENVELOPE_INVALID),
        (b'{"specversion":"1.0"}', Code.ENVELOPE_INVALID),
        (orjson.dumps(envelope(subjct="case-1")), Code.ENVELOPE_INVALID),
        (orjson.dumps(envelope(id="")), Code.ENVELOPE_INVALID),
        (orjson.dumps(envelope(data=[])), Code.ENVELOPE_INVALID),
        (orjson.dumps(envelope(time="2011-10-11T13:45:40")), Code.ENVELOPE_INVALID),
        (orjson.dumps(envelope(source="s" * 256, id="i" * 256)), Code.ENVELOPE_INVALID),
        (orjson.dumps(envelope(schemaversion=2)), Code.SCHEMA_VERSION),
        (orjson.dumps(envelope(data={"resource": "x" * 2**21})), Code.PAYLOAD_TOO_LARGE),
        (rb'{"id":"1","source":"s","type":"check","data":{"resource":"\ud800"}}', Code.TEXT_INVALID),
    ],
)
def test_an_unreadable_envelope_is_refused_without_a_key(body: bytes, code: Code) -> None:
    found = refused(message(body))
    assert (found.refusal.code, found.keyed) == (code, False)
    assert (found.candidate.step_key, found.candidate.payload, found.candidate.step) == ("", "", "check")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (b"NaN", Code.NUMBER_INVALID),
        (b"Infinity", Code.NUMBER_INVALID),
        (b"1e999", Code.NUMBER_INVALID),
        (b"9007199254740993", Code.NUMBER_INVALID),
        (b"1" * 100, Code.NUMBER_INVALID),
        (b"[" * 100 + b"]" * 100, Code.PAYLOAD_TOO_DEEP),
    ],
)
def test_what_has_no_canonical_form_is_refused_under_its_key(number: bytes, code: Code) -> None:
    body = b'{"id":"1","source":"log","type":"check","data":{"resource":%s}}' % number
    found = refused(message(body))
    assert (found.refusal.code, found.keyed, found.candidate.payload) == (code, True, "")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"resource": 5}, "resource: Input should be a valid string"),
        ({"at": 5}, "at: Input should be a valid datetime"),
        ({"at": "yesterday"}, "at: Input should be a valid datetime"),
        ({"at": "2011-10-11T13:45:40"}, "at: "),
        ({"resourse": "R1"}, "resourse: Extra inputs are not permitted"),
        ({"resource": {"name": "R1"}}, "resource: "),
    ],
)
def test_a_payload_that_the_step_does_not_declare(data: dict[str, object], problem: str) -> None:
    found = refused(message(envelope(data=data)))
    assert (found.refusal.code, found.keyed) == (Code.PAYLOAD_INVALID, True)
    assert str(found.refusal.witness["problems"]).startswith(f"['{problem}")
    assert orjson.loads(found.candidate.payload) == data


@pytest.mark.parametrize(
    ("changes", "thread", "code", "witness"),
    [
        ({"subject": "case-2"}, "case-1", Code.THREAD_MISMATCH, {"expected": "case-1", "found": "case-2"}),
        ({"machine": "loan"}, "case-1", Code.MACHINE_MISMATCH, {"expected": "permit", "found": "loan"}),
        ({"machineversion": "8"}, "case-1", Code.MACHINE_VERSION, {"expected": "7", "found": "8"}),
        ({}, "case 1", Code.THREAD_NAME_INVALID, {"thread": "case 1", "at": 4}),
        ({}, "a.b", Code.THREAD_NAME_INVALID, {"thread": "a.b", "at": 1}),
        ({}, "%41", Code.THREAD_NAME_INVALID, {"thread": "%41", "canonical": "A"}),
        ({}, "a%2D1%20b", Code.THREAD_NAME_INVALID, {"thread": "a%2D1%20b", "canonical": "a-1%20b"}),
        ({}, "%FF", Code.THREAD_NAME_INVALID, {"thread": "%FF"}),
        ({}, "x" * 300, Code.THREAD_NAME_INVALID, {"thread_token_characters_max": 200, "length": 300}),
    ],
)
def test_a_message_in_the_wrong_place(
    changes: dict[str, object], thread: str, code: Code, witness: dict[str, object]
) -> None:
    found = refused(message(envelope(**changes), thread))
    assert (found.refusal.code, found.keyed) == (code, True)
    assert found.refusal.witness == witness


@pytest.mark.parametrize(
    ("name", "token", "witness"),
    [
        ("T99 Something new", "_", {"activity": "T99 Something new"}),
        ("check", "_", {"activity": "check", "nearest": ["check"]}),
        ("Chek", "_", {"activity": "Chek", "nearest": ["check"]}),
        ("chekc", "chekc", {"step": "chekc", "nearest": ["check"]}),
        ("peek", "check", {"expected": "check", "found": "peek"}),
        ("peek", "peek", {"step": "peek"}),
    ],
)
def test_a_step_that_the_machine_does_not_have(name: str, token: str, witness: dict[str, object]) -> None:
    found = refused(message(envelope(type=name), token=token))
    assert found.refusal.code is Code.UNKNOWN_STEP
    assert found.refusal.witness == witness
    assert found.candidate.step == token
    assert found.keyed


def test_an_unknown_step_teaches_which_are_near_and_how_an_activity_is_mapped() -> None:
    near = refused(message(envelope(type="Chek"), token="_")).refusal.sentence
    assert "the nearest: check:" in near
    assert "ingest.xes.names" in near
    assert "its steps: check:" in refused(message(envelope(type="xyz"), token="_")).refusal.sentence
    machine = Machine("wide")
    for number in range(20):
        machine.step(f"step_{number:02}", kind="process")
    wide = refused(message(envelope(type="xyz"), token="_"), ShapeGate(machine.plan(), Limits())).refusal.sentence
    assert "step_00, " in wide
    assert "step_11 and 8 more" in wide


@pytest.mark.parametrize(
    "attributes",
    [
        {"datacontenttype": "application/json"},
        {"datacontenttype": "application/json; charset=utf-8"},
        {"datacontenttype": 'Application/JSON;charset="UTF-8"'},
        {"dataschema": "https://example.org/check.json"},
        {"dataschema": "urn:schema:check"},
    ],
)
def test_what_cloud_events_say_of_their_data_is_no_part_of_the_step(attributes: dict[str, str]) -> None:
    plain = candidate({"resource": "R1"})
    assert candidate({"resource": "R1"}, **attributes) == plain


@pytest.mark.parametrize(
    "attributes",
    [
        {"datacontenttype": "text/plain"},
        {"datacontenttype": "application/json; charset=latin1"},
        {"datacontenttype": "application/jsonx"},
        {"dataschema": "no-scheme"},
        {"dataschema": "https://example.org/a b"},
        {"dataschema": ""},
        {"label": "x"},
    ],
)
def test_what_no_event_may_say_of_its_data_is_refused_by_name(attributes: dict[str, str]) -> None:
    found = refused(message(envelope(**attributes)))
    assert found.refusal.code is Code.ENVELOPE_INVALID
    (name,) = attributes
    assert str(found.refusal.witness["problems"]).startswith(f"['{name}: ")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"count": "5"}, "count: Input should be a valid integer"),
        ({"count": 5.5}, "count: Input should be a valid integer"),
        ({"urgent": 1}, "urgent: Input should be a valid boolean"),
        ({"tags": ["a", 5]}, "tags.1: Input should be a valid string"),
        ({"officer": "bug"}, "value: KeyError: 'bug'"),
        ({"officers": "ann"}, "officers: Extra inputs are not permitted"),
    ],
)
def test_a_model_of_the_users_own_is_read_strictly(data: dict[str, object], problem: str) -> None:
    found = refused(message(envelope(type="review", data=data), token="review"), REVIEWS)
    assert found.refusal.code is Code.PAYLOAD_INVALID
    assert str(found.refusal.witness["problems"][0]).startswith(problem)  # pyright: ignore[reportIndexIssue]


def test_only_members_that_were_sent_enter_the_payload() -> None:
    data = {"officer": "ann", "count": 5, "share": 2.0, "tags": ["a"], "at": AT}
    found = REVIEWS.check(message(envelope(type="review", data=data), token="review"))
    assert isinstance(found, Candidate)
    assert found.payload == f'{{"at":"{AT_CANONICAL}","count":5,"officer":"ann","share":2,"tags":["a"]}}'


def test_a_datetime_without_a_zone_is_refused_even_where_the_model_allows_it() -> None:
    body = envelope(type="review", data={"at": "2011-10-11T13:45:40"})
    assert refused(message(body, token="review"), REVIEWS).refusal.code is Code.PAYLOAD_INVALID


def test_a_datetime_outside_of_utc_years_is_refused() -> None:
    found = refused(message(envelope(data={"at": "0001-01-01T00:00:00+05:00"})))
    assert found.refusal.code is Code.PAYLOAD_INVALID


@pytest.mark.parametrize(
    ("token", "source"),
    [("check", "relm:run"), ("check", "relm:held"), ("check", "relm:other"), ("_fork", "relm:run"),
     ("_release", "relm:run"), ("_answer", "relm:follow-up")],
)  # fmt: skip
def test_keys_that_nodes_publish_under_are_nobody_elses(token: str, source: str) -> None:
    """A step with such a key, decided first, would answer for what the node publishes later."""
    found = refused(message(envelope(source=source, type=token), token=token))
    assert (found.refusal.code, found.keyed) == (Code.ENVELOPE_INVALID, False)
    assert found.refusal.witness == {"source": source}


@pytest.mark.parametrize(
    ("token", "source", "data"),
    [
        ("check", "relm:follow-up", {}),
        ("check", "relmachine", {}),
        ("_answer", "relm:run", {"request": 1, "attempt": 1, "reason": "cap"}),
        ("_release", "relm:held", {"held": 1}),
    ],
)
def test_what_nodes_publish_passes(token: str, source: str, data: dict[str, object]) -> None:
    found = GATE.check(message(envelope(source=source, type=token, data=data), token=token))
    assert isinstance(found, Candidate), found
