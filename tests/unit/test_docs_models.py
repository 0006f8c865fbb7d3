"""Goal: the page on models and tools says what the code says. Method: its tables against the values they describe."""

from __future__ import annotations

from dataclasses import fields

import pytest

from relmachine.engine.models import ModelBounds
from relmachine.engine.models.patience import PASSING_STATUSES
from relmachine.engine.tools.bounds import ToolBounds
from relmachine.engine.tools.process import KINDS
from tests.unit.docs_pages import code, page, rows, section


@pytest.mark.parametrize(
    ("heading", "bounds"),
    [("## When a model fails", ModelBounds), ("## Tools that are not trusted", ToolBounds)],
)
def test_every_bound_has_its_line_with_its_default(heading: str, bounds: type[ModelBounds | ToolBounds]) -> None:
    told = [(code(row[0]), float(row[1].replace(",", ""))) for row in rows(section(page("models.md"), heading))]
    assert told == [([item.name], item.default) for item in fields(bounds)]


def test_statuses_and_kinds_are_told() -> None:
    text = page("models.md")
    assert f"statuses {', '.join(map(str, sorted(PASSING_STATUSES)))} and from 500 on" in text
    told = section(text, "## Tools that are not trusted").partition("The `kind` in its witness")[2].partition(";")[0]
    assert code(told) == list(KINDS)
