"""Goal: a plan read back from a store decides as the one that was stored. Method: round trip, member by member."""

from __future__ import annotations

from dataclasses import fields

import pytest
from pydantic import ValidationError

from relmachine.machine.plan import Plan
from relmachine.store.declaration import dump_plan, load_plan
from tests.contract.store_turns import desk


def test_a_plan_comes_back_as_it_was() -> None:
    plan = desk()
    again = load_plan(dump_plan(plan))
    for member in fields(Plan):
        if member.name != "steps":
            assert getattr(again, member.name) == getattr(plan, member.name), member.name
    for one, other in zip(plan.steps, again.steps, strict=True):
        for member in fields(one):
            if member.name not in ("payload_model", "closure"):
                assert getattr(other, member.name) == getattr(one, member.name), (one.name, member.name)


def test_text_that_is_no_declaration_is_refused() -> None:
    with pytest.raises(ValidationError):
        load_plan("{}")
