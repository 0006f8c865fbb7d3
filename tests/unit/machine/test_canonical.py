"""Goal: one text per value, the RFC 8785 one. Method: compare with the reference implementation on generated values."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from relmachine.errors import Code, RelmError
from relmachine.machine.canonical import DEPTH_MAX, INTEGER_MAX, canonical, canonical_text, canonical_time

numbers = st.integers(-INTEGER_MAX, INTEGER_MAX) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=12)


@given(values)
@example(2.0**53)
@example(9007199254740994.0)
@example(-123456789012345680.0)
@example(1e21)
@example(1e-7)
@example(6.95e-06)
@example({"a": -1.5e-06})
@example(-0.0)
@example({"\ue000": 1, "\U00010000": 2.5})
@example({"note": '\x00\x1f\x7f\u2028"\\/'})
@example({"a": {"\u00e9": 1e20}, "b": [1e-5, 5e-324]})
def test_equals_the_reference(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # pyright: ignore[reportArgumentType]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(value: float) -> None:
    assert float(canonical_text(value)) == value


@given(st.dictionaries(texts, scalars))
def test_order_of_members_does_not_show(value: dict[str, object]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_texts_of_times_compare_as_the_times(one: datetime, other: datetime) -> None:
    try:
        earlier = canonical_time(one) < canonical_time(other)
    except RelmError as error:
        assert error.code is Code.PAYLOAD_INVALID
        return
    assert earlier == (one.astimezone(UTC) < other.astimezone(UTC))


def test_times_are_utc_with_six_decimals() -> None:
    dutch = datetime(2011, 10, 11, 13, 45, 40, 276000, tzinfo=timezone(timedelta(hours=2)))
    assert canonical_text({"at": dutch}) == '{"at":"2011-10-11T11:45:40.276000Z"}'
    assert canonical_time(datetime(1000, 1, 1, tzinfo=timezone(timedelta(hours=5)))) == "0999-12-31T19:00:00.000000Z"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.nan, Code.NUMBER_INVALID),
        ({"a": [math.inf]}, Code.NUMBER_INVALID),
        (INTEGER_MAX + 1, Code.NUMBER_INVALID),
        ({"a": -INTEGER_MAX - 1}, Code.NUMBER_INVALID),
        ({"a": 2**70}, Code.NUMBER_INVALID),
        ("\ud800", Code.TEXT_INVALID),
        ({"a": "\udfff"}, Code.TEXT_INVALID),
        ({"\udc00": 1}, Code.TEXT_INVALID),
        ({"\udc00": 1e300}, Code.TEXT_INVALID),
        ({1: "a"}, Code.PAYLOAD_INVALID),
        ({"a": b"bytes"}, Code.PAYLOAD_INVALID),
        ({"a"}, Code.PAYLOAD_INVALID),
        (datetime(2024, 1, 1), Code.PAYLOAD_INVALID),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), Code.PAYLOAD_INVALID),
    ],
)
def test_what_json_cannot_say_is_refused(value: object, code: Code) -> None:
    with pytest.raises(RelmError) as caught:
        canonical(value)
    assert caught.value.code is code


def nested(depth: int) -> object:
    """A scalar inside `depth` lists and objects."""
    value: object = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_depth_is_bounded() -> None:
    assert json.loads(canonical(nested(DEPTH_MAX))) == nested(DEPTH_MAX)
    with pytest.raises(RelmError) as caught:
        canonical(nested(DEPTH_MAX + 1))
    assert caught.value.code is Code.PAYLOAD_TOO_DEEP


def test_subclasses_of_text_are_text() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert canonical_text({Colour.RED: Colour.RED, "n": 1.5}) == '{"n":1.5,"red":"red"}'
