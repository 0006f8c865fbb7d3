"""Goal: figures are shown beside what was expected, and a difference is never overlooked. Method: small mappings."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from relmachine.cli.figures import figures_table, flat, matches

EXPECTED = {"committed": 5, "rejected_by": {"once": 1}}
EXPECTED_FILE = Path(__file__).parents[3] / "examples" / "permit" / "expected.json"


def _shown(figures: dict[str, object], expected: dict[str, object] | None) -> list[list[str]]:
    text = io.StringIO()
    Console(file=text, width=100).print(figures_table(figures, expected))
    return [line.split() for line in text.getvalue().splitlines() if line.strip() and "─" not in line]


def test_a_mapping_is_one_line_a_member() -> None:
    assert flat({"a": 1, "by": {"y": 2, "x": 3}, "none": {}}) == {"a": 1, "by · x": 3, "by · y": 2}


@pytest.mark.parametrize(
    ("figures", "match"),
    [
        ({"committed": 5, "rejected_by": {"once": 1}}, True),
        ({"committed": 5, "rejected_by": {"once": 1}, "steps_per_s": 9.0}, True),
        ({"committed": 6, "rejected_by": {"once": 1}}, False),
        ({"committed": 5, "rejected_by": {"once": 1, "requires": 1}}, False),
        ({"committed": 5, "rejected_by": {}}, False),
        ({"rejected_by": {"once": 1}}, False),
    ],
)
def test_every_expected_figure_must_be_there_and_equal(figures: dict[str, object], match: bool) -> None:
    assert matches(figures, EXPECTED) is match
    assert any("differs" in line for line in _shown(figures, EXPECTED)) is not match


def test_figures_are_shown_with_and_without_expectations() -> None:
    assert _shown({"committed": 5}, None) == [["figure", "value"], ["committed", "5"]]
    assert _shown({"committed": 5, "rejected_by": {}, "steps_per_s": 1.5}, EXPECTED)[1:] == [
        ["committed", "5", "5", "ok"],
        ["steps_per_s", "1.5"],
        ["rejected_by", "·", "once", "1", "differs"],
    ]


def test_the_expected_figures_of_the_example_agree_with_each_other() -> None:
    figures = json.loads(EXPECTED_FILE.read_text())["figures"]
    assert figures["committed"] + figures["rejected"] == figures["published"]
    assert sum(figures["rejected_by"].values()) == figures["rejected"]
    assert sum(figures["settled_by_claim"].values()) == figures["settled"]
    assert figures["newly_settled"] - figures["superseded"] == figures["settled"]
