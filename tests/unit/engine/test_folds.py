"""Goal: a fold that grows gives what folding everything at once gives, and copies grow apart. Method: every reducer,
random contributions in random portions, against `algebra.reducers.fold`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.algebra.reducers import fold, parse
from relmachine.errors import RelmError
from relmachine.kernel.folds import FieldFold, fold_of
from relmachine.machine.plan import FieldPlan, FieldType, Reducer
from relmachine.machine.values import value_text

STRINGS = st.text(st.characters(codec="utf-8"), max_size=4)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
TIMES = st.integers(0, 10**9).map(lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
CASES: list[tuple[FieldType, st.SearchStrategy[object], Reducer]] = [
    (FieldType.STRING, STRINGS, Reducer.UNION),
    (FieldType.STRING, STRINGS, Reducer.LOG),
    (FieldType.STRING, STRINGS, Reducer.MAX),
    (FieldType.DATETIME, TIMES, Reducer.MAX),
    (FieldType.DATETIME, TIMES, Reducer.UNION),
    (FieldType.NUMBER, NUMBERS, Reducer.SUM),
    (FieldType.NUMBER, NUMBERS, Reducer.MIN),
    (FieldType.NUMBER, NUMBERS, Reducer.UNION),
    (FieldType.INTEGER, INTEGERS, Reducer.SUM),
    (FieldType.BOOLEAN, st.booleans(), Reducer.LOG),
]


def plain(value: object) -> object:
    """As JSON has it."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


def made(field: FieldPlan, texts: list[str]) -> FieldFold:
    found = fold_of(field, texts)
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "values", "reducer"), CASES, ids=[f"{kind}-{reducer}" for kind, _, reducer in CASES])
@given(data=st.data())
def test_a_growing_fold_is_the_fold_of_all(
    kind: FieldType, values: st.SearchStrategy[object], reducer: Reducer, data: st.DataObject
) -> None:
    field = FieldPlan("f", kind, reducer)
    texts = [value_text(field, value) for value in data.draw(st.lists(values, min_size=1, max_size=12))]
    cut = data.draw(st.integers(1, len(texts)))
    grown = made(field, texts[:cut])
    before, apart = grown.value(), grown.copy()
    for text in texts[cut:]:
        apart.add(text)
    assert plain(apart.value()) == fold(reducer, [parse(text) for text in texts])
    assert grown.value() == before == made(field, texts[:cut]).value()


def test_nothing_has_no_fold() -> None:
    assert fold_of(FieldPlan("f", FieldType.NUMBER, Reducer.SUM), []) is None


@pytest.mark.parametrize("reducer", [Reducer.UNION, Reducer.LOG])
def test_what_a_closure_does_to_a_list_changes_nothing(reducer: Reducer) -> None:
    fold_made = made(FieldPlan("f", FieldType.STRING, reducer), ['"a"'])
    shown = fold_made.value()
    assert isinstance(shown, list)
    shown.append("mine")
    assert fold_made.value() == ["a"]


def test_a_sum_beyond_the_doubles_is_a_coded_error() -> None:
    with pytest.raises(RelmError, match="number_invalid"):
        made(FieldPlan("f", FieldType.NUMBER, Reducer.SUM), ["1e+308"] * 30).value()
