"""Goal: every line becomes a step or a numbered fault, and none holds up the rest. Method: lines of every kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.errors import Code
from relmachine.ingest.cloudevents import Line, lines
from relmachine.ingest.fault import Fault
from relmachine.kernel.limits import Limits

LIMITS = Limits(payload_bytes_max=400)


def _event(**members: object) -> bytes:
    whole = {"specversion": "1.0", "id": "1", "source": "urn:s", "type": "check", "subject": "t1", **members}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def _only(line: bytes) -> Line | Fault:
    (found,) = lines([line], LIMITS)
    return found


def test_a_line_is_passed_on_byte_for_byte() -> None:
    body = _event(data={"b": 1.0, "a": "é"})
    assert _only(b"  " + body + b"\r\n") == Line(1, "t1", "check", body)


@pytest.mark.parametrize(
    "body",
    [
        _event(colour="red"),
        _event(type=None),
        _event(data=[1]),
        _event(schemaversion=9),
        _event(data={"x": float("nan")}),
        _event(id=None),
    ],
)
def test_what_names_a_thread_is_left_to_the_gates(body: bytes) -> None:
    found = _only(body)
    assert isinstance(found, Line)
    assert (found.thread, found.body) == ("t1", body)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"oops", Code.NOT_JSON),
        (b'{"subject": "t1"', Code.NOT_JSON),
        (b"\xff\xfe", Code.NOT_JSON),
        (b'{"subject": "t1", "id": NaN, }', Code.NUMBER_INVALID),
        (b'{"subject": "t1", "id": "\\ud800"}', Code.TEXT_INVALID),
        (b"[" * 300, Code.NOT_JSON),
        (b"[1]", Code.ENVELOPE_INVALID),
        (_event(subject=None), Code.ENVELOPE_INVALID),
        (_event(subject=7), Code.ENVELOPE_INVALID),
        (_event(subject="a b"), Code.THREAD_NAME_INVALID),
        (_event(subject="a.b"), Code.THREAD_NAME_INVALID),
        (_event(subject="x" * 201), Code.THREAD_NAME_INVALID),
        (_event(data={"x": "y" * 400}), Code.PAYLOAD_TOO_LARGE),
    ],
)
def test_a_line_without_a_thread_is_a_fault_and_the_rest_goes_on(line: bytes, code: Code) -> None:
    before, fault, after = lines([b"\n".join((_event(), line, _event(id="2")))], LIMITS)
    assert isinstance(before, Line)
    assert isinstance(fault, Fault)
    assert (fault.where, fault.error.code) == ("line 2", code)
    assert fault.error.sentence
    assert isinstance(after, Line)
    assert after.number == 3


def test_blank_lines_and_a_byte_order_mark_are_no_steps() -> None:
    found = list(lines([b"\xef\xbb\xbf" + _event() + b"\n\n \t\n" + _event(id="2")], LIMITS))
    assert [line.number for line in found if isinstance(line, Line)] == [1, 4]
    assert len(found) == 2


@given(
    st.lists(st.sampled_from([_event(), b"", b"oops", _event(data={"x": "y" * 400}), b"z" * 5000]), max_size=8),
    st.integers(1, 700),
    st.booleans(),
)
def test_where_chunks_end_never_shows(parts: list[bytes], chunk: int, ended: bool) -> None:
    document = b"\n".join(parts) + (b"\n" if ended else b"")
    cut = [document[at : at + chunk] for at in range(0, len(document), chunk)]

    def seen(pieces: list[bytes]) -> list[object]:
        return [
            found if isinstance(found, Line) else (found.where, found.error.code) for found in lines(pieces, LIMITS)
        ]

    assert seen(cut) == seen([document])
    assert len(seen(cut)) == sum(1 for part in parts if part)
