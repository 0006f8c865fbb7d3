"""Goal: the closures of the examples are pure. Method: each that runs inside the turn, on payloads and views made at
random from the declared types.
"""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime

from relmachine.machine.loader import load
from relmachine.machine.plan import FieldType, Plan, StepPlan
from relmachine.testing import assert_pure

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

TIMES = st.datetimes(timezones=st.just(UTC))
VALUES = {
    FieldType.STRING: st.text(),
    FieldType.INTEGER: st.integers(-1000, 1000),
    FieldType.NUMBER: st.floats(-1000, 1000),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATETIME: TIMES,
}
st.register_type_strategy(AwareDatetime, TIMES)  # pyright: ignore[reportArgumentType]


def computed() -> list[object]:
    found: list[object] = []
    for folder in sorted(EXAMPLES.iterdir()):
        file = folder / f"{folder.name}.py"
        plan = load(file).plan() if file.is_file() else None
        steps = () if plan is None else plan.steps
        found += [pytest.param(plan, step, id=f"{folder.name}-{step.name}") for step in steps if step.computed]
    return found


def views(plan: Plan, step: StepPlan) -> st.SearchStrategy[dict[str, object]]:
    fields = {name: VALUES[plan.fields[name].type] for name in sorted(step.read_fields)}
    return st.fixed_dictionaries({}, optional=fields)


def test_there_are_some() -> None:
    assert len(computed()) >= 10


@pytest.mark.parametrize(("plan", "step"), computed())
def test_closures_of_examples_are_pure(plan: Plan, step: StepPlan) -> None:
    @settings(max_examples=20, deadline=None, database=None)
    @given(payload=st.builds(step.payload_model), view=views(plan, step))
    def holds(payload: object, view: dict[str, object]) -> None:
        assert_pure(plan, step.name, [payload], [view], hash_seeds=())  # pyright: ignore[reportArgumentType]

    holds()
