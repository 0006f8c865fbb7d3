"""How contributions fold to a field's value. Source: `docs/math.md` section 3.

Values are JSON scalars parsed from canonical text. All folds but `log` give the same value in every order; `sum` adds
exactly, so that rounding never shows the order either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from fractions import Fraction
from typing import cast

Scalar = str | int | float | bool | None
Folded = Scalar | list[Scalar]

_INTEGER_MAX = 2**53 - 1
# More digits than lie between the largest sum of doubles and the smallest double. A sum that needed more would raise.
_EXACTLY = Context(prec=2048, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


def parse(text: str) -> Scalar:
    """The value of canonical JSON text: a scalar, in which a number beyond 2^53-1 is always a double."""
    return cast("Scalar", json.loads(text, parse_int=_integer))


def _integer(text: str) -> int | float:
    # RFC 8785 writes 1e17 without exponent, so such digits were a double and not an exact integer.
    value = int(text)
    return value if abs(value) <= _INTEGER_MAX else float(text)


def fold(reducer: str, values: Sequence[Scalar]) -> Folded:
    """The value that `values`, one or more, have under `reducer`: union, max, min, sum, once or log.

    `union` gives the distinct values, sorted by their text; `max` and `min` compare numbers as numbers and texts by
    code point; `sum` is an integer when it is whole and JSON carries it exactly, else the nearest double, and beyond
    the doubles the text of the exact decimal, such as `"5e+309"`; `log` keeps the order given. Raises KeyError for
    another reducer, ValueError for no values at all and for `once` values that differ.
    """
    if not values:
        raise ValueError("a field without contributions has no value")
    return _FOLDS[reducer](values)


def _union(values: Sequence[Scalar]) -> Folded:
    distinct = {json.dumps(value, ensure_ascii=False): value for value in values}
    return [distinct[text] for text in sorted(distinct)]


def _once(values: Sequence[Scalar]) -> Folded:
    if any(value != values[0] for value in values):
        raise ValueError(f"once values differ: {values!r}")
    return values[0]


def term(value: Scalar) -> Fraction:
    """What `value` adds to a sum, exactly. The text of a double is its shortest decimal, and that is what was
    contributed: 0.1 counts as one tenth.
    """
    return Fraction(repr(value))


def _sum(values: Sequence[Scalar]) -> Folded:
    return sum_value(sum(map(term, values), Fraction()))


def sum_value(total: Fraction) -> Scalar:
    """A sum as a field shows it, see `fold`."""
    if total.denominator == 1 and abs(total) <= _INTEGER_MAX:
        return int(total)
    try:
        return float(total) or 0.0  # what is too small for a double has no sign either
    except OverflowError:
        return _decimal(total)


def _decimal(total: Fraction) -> str:
    """`total`, a sum of decimals, exactly, in the form of a JSON number."""
    exact = _EXACTLY.divide(Decimal(total.numerator), Decimal(total.denominator))
    return f"{exact.normalize(_EXACTLY):e}"


# Values of one field are all numbers or all texts, which is more than the type says: either way they compare.
_FOLDS: Mapping[str, Callable[[Sequence[Scalar]], Folded]] = {
    "union": _union,
    "max": lambda values: max(cast("Sequence[str]", values)),
    "min": lambda values: min(cast("Sequence[str]", values)),
    "sum": _sum,
    "once": _once,
    "log": list,
}
