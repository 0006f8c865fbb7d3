"""Reducers: commuting folds give one value in every order, sums are exact, comparison follows the type."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from relmachine.algebra.reducers import Folded, Scalar, fold, parse

NUMBERS = (st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False, width=32)).map(
    lambda number: parse(rfc8785.dumps(number).decode())
)
"""Numbers as they come from canonical text."""


@pytest.mark.parametrize("reducer", ["union", "max", "min", "sum"])
@given(values=st.lists(NUMBERS, min_size=1, max_size=4))
def test_order_never_shows(reducer: str, values: list[Scalar]) -> None:
    expected = fold(reducer, values)
    assert all(repr(fold(reducer, order)) == repr(expected) for order in permutations(values))


@pytest.mark.parametrize(
    ("reducer", "values", "expected"),
    [
        ("sum", [0.1, 0.2], 0.3),
        ("sum", [0.1] * 10, 1),
        ("sum", [9007199254740991, 0.5, -9007199254740991], 0.5),
        ("sum", [9007199254740991, 1], 9007199254740992.0),
        ("sum", [2.5, 2.5], 5),
        ("max", [9, 10], 10),
        ("max", ["9", "10"], "9"),
        ("max", [2, 2.5], 2.5),
        ("min", ["b", "a", "Z"], "Z"),
        ("max", ["\uffff", "\U0001f600"], "\U0001f600"),
        ("union", ["b", "a", "b"], ["a", "b"]),
        ("union", [10, 9, 10], [10, 9]),
        ("union", [True, "true"], ["true", True]),
        ("once", ["x", "x"], "x"),
        ("log", ["b", "a", "b"], ["b", "a", "b"]),
        ("sum", [4], 4),
        ("sum", [1e308] * 50, "5e+309"),
        ("sum", [-1.7e308, -1.7e308, 0.5], f"-3.3{'9' * 307}5e+308"),
        ("sum", [1.7e308, 1.7e308, -1.7e308], 1.7e308),
    ],
)
def test_values(reducer: str, values: list[Scalar], expected: Folded) -> None:
    found = fold(reducer, values)
    assert repr(found) == repr(expected)


@given(st.lists(st.sampled_from([1.7976931348623157e308, 1e308, 5e-324, -1e308, 0.1, 3]), min_size=1, max_size=6))
def test_every_sum_has_a_value_that_json_carries_and_that_order_does_not_change(values: list[Scalar]) -> None:
    found = fold("sum", values)
    assert found == fold("sum", values[::-1])
    exact = sum((Fraction(repr(value)) for value in values), Fraction())
    if isinstance(found, str):
        assert Fraction(found) == exact
        assert abs(exact) > Fraction(1.7976931348623157e308)
        assert rfc8785.dumps(found)
    else:
        assert isinstance(found, int | float)
        assert found == float(exact)


@given(st.lists(st.text(max_size=3), min_size=1, max_size=6))
def test_union_and_log_keep_every_value(values: list[Scalar]) -> None:
    united = fold("union", values)
    assert isinstance(united, list)
    assert set(united) == set(values)
    assert len(united) == len(set(values))
    assert fold("log", values) == values


def test_what_has_no_value() -> None:
    with pytest.raises(ValueError, match="without contributions"):
        fold("sum", [])
    with pytest.raises(ValueError, match="once values differ"):
        fold("once", [1, 2])
    with pytest.raises(KeyError):
        fold("last", [1])


@pytest.mark.parametrize("text", ["9007199254740991", "9007199254740992", "-1e+21", "100000000000000000", "0.1"])
def test_a_number_reads_as_what_was_written(text: str) -> None:
    """Beyond 2^53-1 canonical text writes doubles as integers; read back they are doubles again."""
    found = parse(text)
    assert isinstance(found, float) == (text != "9007199254740991")
    assert rfc8785.dumps(found).decode() == text
