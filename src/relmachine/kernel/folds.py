"""Values of fields as closures see them, kept folded: what a step contributes is added, nothing is folded anew.

A fold gives exactly what `algebra.reducers.fold` gives for all contributions together. Adding to it costs no more than
the value is long, whatever the length of the history.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol, cast

import orjson

from relmachine.algebra.reducers import Scalar, fold, parse, sum_value, term
from relmachine.machine.plan import FieldPlan, Reducer
from relmachine.machine.values import text_value


class FieldFold(Protocol):
    """The contributions so far to one field, one or more."""

    def add(self, text: str) -> None:
        """One contribution more, as canonical JSON."""
        ...

    def copy(self) -> FieldFold:
        """The same, to be added to apart."""
        ...

    def value(self) -> object:
        """The Python value, the caller's own. Errors: `number_invalid` for a sum beyond the doubles."""
        ...


def fold_of(field: FieldPlan, texts: Iterable[str]) -> FieldFold | None:
    """The fold of `texts`, in subject order; None when there are none."""
    made: FieldFold | None = None
    for text in texts:
        if made is None:
            made = _begun(field, text)
        else:
            made.add(text)
    return made


def _begun(field: FieldPlan, text: str) -> FieldFold:
    match field.reducer:
        case Reducer.UNION:
            made: FieldFold = _Union(field, [], [])
        case Reducer.LOG:
            made = _Log(field, [])
        case Reducer.SUM:
            made = _Sum(field, Fraction())
        case Reducer.MAX | Reducer.MIN | Reducer.ONCE:
            return _One(field, parse(text))
    made.add(text)
    return made


def _python(field: FieldPlan, value: object) -> object:
    return text_value(field, orjson.dumps(value).decode())


class _One:
    """`max`, `min`, `once`: of two values one stays."""

    def __init__(self, field: FieldPlan, value: Scalar) -> None:
        self._field, self._value = field, value

    def add(self, text: str) -> None:
        self._value = cast(Scalar, fold(self._field.reducer, [self._value, parse(text)]))

    def copy(self) -> FieldFold:
        return _One(self._field, self._value)

    def value(self) -> object:
        return _python(self._field, self._value)


class _Sum:
    def __init__(self, field: FieldPlan, total: Fraction) -> None:
        self._field, self._total = field, total

    def add(self, text: str) -> None:
        self._total += term(parse(text))

    def copy(self) -> FieldFold:
        return _Sum(self._field, self._total)

    def value(self) -> object:
        return _python(self._field, sum_value(self._total))


class _Log:
    def __init__(self, field: FieldPlan, items: list[object]) -> None:
        self._field, self._items = field, items

    def add(self, text: str) -> None:
        self._items.append(_python(self._field, parse(text)))

    def copy(self) -> FieldFold:
        return _Log(self._field, self._items.copy())

    def value(self) -> object:
        return self._items.copy()


class _Union:
    """Distinct items sorted by their texts, which `keys` holds at the same places."""

    def __init__(self, field: FieldPlan, keys: list[str], items: list[object]) -> None:
        self._field, self._keys, self._items = field, keys, items

    def add(self, text: str) -> None:
        value = parse(text)
        key = json.dumps(value, ensure_ascii=False)
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            self._keys.insert(place, key)
            self._items.insert(place, _python(self._field, value))

    def copy(self) -> FieldFold:
        return _Union(self._field, self._keys.copy(), self._items.copy())

    def value(self) -> object:
        return self._items.copy()
