"""Goal: a log gives the same steps whenever it is read, with no more in them than the machine names.

Method: small logs on a small machine, and the whole receipt log.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.ingest.cases import LogStep
from relmachine.ingest.members import value_of
from relmachine.ingest.reading import Form
from relmachine.ingest.steps import FAULTS_KEPT_MAX, outgoing, survey
from relmachine.ingest.xes import Attribute
from relmachine.kernel.limits import Limits
from relmachine.kernel.parsing import parse
from relmachine.kernel.thread_token import thread_label
from relmachine.machine.machine import Machine
from relmachine.machine.plan import FieldType

RECEIPT = Path(__file__).parents[3] / "examples" / "permit" / "receipt.xes.gz"

machine = Machine("desk", version="7")
received = machine.claim("received")
officers = machine.field("officers", str, reducer="union")
last_at = machine.field("last_at", "datetime", reducer="max")


class Receive(BaseModel):
    resource: str
    pages: int | None = None
    weight: float | None = None
    urgent: bool | None = None
    channel: str | None = None


machine.step("receive", kind="process", payload=Receive, asserts=[received], writes={officers: "resource"})
machine.step("look", kind="process", writes={officers: "resource", last_at: "at"})
machine.ingest_xes(
    names={"Receive it": "receive", "Look": "look"},
    payload={
        "resource": "event:org:resource",
        "at": "event:time:timestamp",
        "pages": "event:pages",
        "weight": "event:weight",
        "urgent": "event:urgent",
        "channel": "trace:channel",
    },
)

CASE = """<trace><string key="concept:name" value="case 1/ä.b"/><string key="channel" value="Desk"/>
<event><string key="concept:name" value="Receive it"/><string key="org:resource" value="Ann"/>
<int key="pages" value="3"/>
<float key="weight" value="1.5"/><boolean key="urgent" value="false"/><string key="secret" value="no"/></event>
<event><string key="concept:name" value="Look"/>
<date key="time:timestamp" value="2011-10-11T13:45:40.276+02:00"/></event>
<event><string key="concept:name" value="Dance"/><string key="org:resource" value="Bob"/></event>
<event><string key="org:resource" value="Cid"/></event></trace>"""


def _write(path: Path, *parts: str) -> Path:
    path.write_text(f"<log>{''.join(parts)}</log>", encoding="utf-8")
    return path


def _steps(path: Path) -> list[LogStep]:
    return list(outgoing(machine, path))


def test_events_become_steps_with_what_the_machine_names(tmp_path: Path) -> None:
    path = _write(tmp_path / "log.xes", CASE)
    steps = _steps(path)
    thread = "case%201%2F%C3%A4%2Eb"
    bodies = [orjson.loads(step.body) for step in steps]
    source = f"urn:relm:log:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    common = {"source": source, "subject": thread, "machine": "desk", "machineversion": "7"}
    received_data = {"resource": "Ann", "pages": 3, "weight": 1.5, "urgent": False, "channel": "Desk"}
    assert bodies == [
        {**common, "id": f"{thread}/0", "type": "receive", "data": received_data},
        {**common, "id": f"{thread}/1", "type": "look", "data": {"at": "2011-10-11T13:45:40.276+02:00"}},
        {**common, "id": f"{thread}/2", "type": "Dance"},
        {**common, "id": f"{thread}/3", "type": "_"},
    ]
    assert [step.step_token for step in steps] == ["receive", "look", "_", "_"]
    assert {thread_label(step.thread) for step in steps} == {"case 1/ä.b"}
    assert [parse(step.body, Limits()).id for step in steps] == [body["id"] for body in bodies]


def test_compression_and_reading_again_change_nothing(tmp_path: Path) -> None:
    plain = _write(tmp_path / "log.xes", CASE)
    packed = tmp_path / "log.xes.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert _steps(plain) == _steps(plain) == _steps(packed)


def test_another_log_has_other_keys(tmp_path: Path) -> None:
    one, two = (_steps(_write(tmp_path / name, CASE, extra)) for name, extra in (("a", ""), ("b", "<trace/>")))
    assert {step.body for step in one}.isdisjoint(step.body for step in two)


def test_a_case_in_two_traces_is_one_thread_whose_index_counts_on(tmp_path: Path) -> None:
    steps = _steps(_write(tmp_path / "log.xes", CASE, CASE))
    assert [orjson.loads(step.body)["id"].rpartition("/")[2] for step in steps] == [str(n) for n in range(8)]
    assert len({step.body for step in steps}) == 8


def test_traces_that_name_no_thread_are_faults_and_the_rest_goes_on(tmp_path: Path) -> None:
    nameless = "<trace><event/></trace>"
    endless = f'<trace><string key="concept:name" value="{"x" * 300}"/><event/></trace>'
    log = survey(machine, _write(tmp_path / "log.xes", nameless, CASE, endless))
    assert (log.steps, log.faulty) == (4, 2)
    assert [(fault.where, fault.error.code) for fault in log.faults] == [
        ("trace 1", Code.THREAD_NAME_INVALID),
        ("trace 3", Code.THREAD_NAME_INVALID),
    ]
    assert len(list(outgoing(machine, log))) == log.steps


def test_an_event_too_large_for_the_wire_is_a_fault(tmp_path: Path) -> None:
    large = (
        f'<event><string key="concept:name" value="Look"/><string key="org:resource" value="{"x" * 500_000}"/></event>'
    )
    unsent = large.replace("org:resource", "remark")
    log = survey(machine, _write(tmp_path / "log.xes", CASE.replace("</trace>", f"{large}{unsent}</trace>")))
    assert [(fault.where, fault.error.code) for fault in log.faults] == [("trace 1, event 5", Code.PAYLOAD_TOO_LARGE)]
    last = orjson.loads(list(outgoing(machine, log))[-1].body)
    assert (log.steps, last["id"].rpartition("/")[2]) == (5, "5")


def test_a_survey_counts_all_faults_and_keeps_the_first(tmp_path: Path) -> None:
    log = survey(machine, _write(tmp_path / "log.xes", "<trace><event/></trace>" * (FAULTS_KEPT_MAX + 5)))
    assert (log.faulty, len(log.faults), log.faults[-1].where) == (25, 20, "trace 20")


@pytest.mark.parametrize("content", ["<log></log>", "<log><trace/></log>", "", "\n\n"])
def test_a_log_without_events_is_empty(tmp_path: Path, content: str) -> None:
    path = tmp_path / "log.jsonl" if content == "\n\n" else tmp_path / "log"
    path.write_text(content)
    with pytest.raises(RelmError) as caught:
        survey(machine, path)
    assert caught.value.code == Code.LOG_EMPTY


def test_a_log_that_changes_between_two_readings_is_noticed(tmp_path: Path) -> None:
    log = survey(machine, _write(tmp_path / "log.xes", CASE))
    _write(log.path, CASE, CASE)
    with pytest.raises(RelmError) as caught:
        list(outgoing(machine, log))
    assert caught.value.code == Code.LOG_INVALID


def test_lines_go_out_as_they_are_under_the_step_they_name(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    known = b'{"specversion":"1.0","id":"1","source":"s","type":"look","subject":"t","data":{}}'
    unknown, broken = known.replace(b"look", b"dance"), known.replace(b'"data"', b'"date"')
    path.write_bytes(b"\n".join((known, unknown, broken, b"oops")))
    log = survey(machine, path)
    assert (log.form, log.steps, log.faulty) == (Form.CLOUDEVENTS, 3, 1)
    assert [(step.thread, step.step_token, step.body) for step in outgoing(machine, log)] == [
        ("t", "look", known),
        ("t", "_", unknown),
        ("t", "look", broken),
    ]


def test_steps_written_as_lines_are_the_same_steps(tmp_path: Path) -> None:
    steps = _steps(_write(tmp_path / "log.xes", CASE))
    lines = tmp_path / "log.jsonl"
    lines.write_bytes(b"\n".join(step.body for step in steps))
    assert _steps(lines) == steps


@pytest.mark.parametrize(
    ("tag", "text", "types", "value"),
    [
        ("string", "5", {"string"}, "5"),
        ("string", "5", {"integer"}, 5),
        ("int", "5", {"string"}, "5"),
        ("string", " -5 ", {"integer"}, -5),
        ("int", "5", {"string", "integer"}, 5),
        ("string", "5", {"string", "integer"}, "5"),
        ("float", "2.0", {"integer"}, "2.0"),
        ("string", "1_000", {"integer"}, "1_000"),
        ("int", "9" * 5000, {"integer"}, "9" * 5000),
        ("float", "1e3", {"number"}, 1000.0),
        ("float", "NaN", {"number"}, "NaN"),
        ("float", "oops", {"number"}, "oops"),
        ("boolean", "true", {"boolean"}, True),
        ("boolean", "maybe", {"boolean"}, "maybe"),
        ("date", "2011-10-11T13:45:40+02:00", {"datetime"}, "2011-10-11T13:45:40+02:00"),
        ("int", "5", set(), "5"),
    ],
)
def test_values_take_the_type_of_their_member(tag: str, text: str, types: set[str], value: object) -> None:
    found = value_of(Attribute(tag, text), frozenset(FieldType(name) for name in types))
    assert (found, type(found)) == (value, type(value))


@given(st.sampled_from(["string", "int", "float", "boolean", "date"]), st.text(), st.sets(st.sampled_from(FieldType)))
def test_a_value_is_never_lost_nor_unfit_for_json(tag: str, text: str, types: set[FieldType]) -> None:
    found = value_of(Attribute(tag, text), frozenset(types))
    assert orjson.loads(orjson.dumps(found)) == found
    assert isinstance(found, str) is (found == text)


def test_the_receipt_log_is_read_whole() -> None:
    log = survey(machine, RECEIPT)
    steps = list(outgoing(machine, log))
    assert (log.form, log.steps, log.faulty, len(steps)) == (Form.XES, 8_577, 0, 8_577)
    assert len({step.thread for step in steps}) == 1_434
    assert len({step.body for step in steps}) == 8_577
    assert log.digest == hashlib.sha256(gzip.decompress(RECEIPT.read_bytes())).hexdigest()
    first = orjson.loads(steps[0].body)
    assert (first["type"], first["id"]) == ("Confirmation of receipt", "case-10011/0")
    assert max(Counter(step.thread for step in steps).values()) > 1
