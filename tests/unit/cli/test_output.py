"""Goal: whatever a store holds can be printed and means itself. Method: texts that terminals or encoders trip on."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from relmachine.cli.output import cell, json_text, table, witness_text


def _printed(*cells: object) -> str:
    made = table("#count", *("text" for _ in cells[1:]))
    made.add_row(*(cell(value) for value in cells))
    text = io.StringIO()
    Console(file=text, width=100).print(made)
    return text.getvalue()


@pytest.mark.parametrize("value", ["\udcff", {"k\udcff": ["\udcff", "é"]}, "plain", None, 1.5])
def test_json_is_utf8_and_means_the_value(value: object) -> None:
    text = json_text(value)
    text.encode()
    assert json.loads(text) == value
    assert "é" in json_text("é")


def test_cells_and_witnesses_are_utf8_and_no_markup() -> None:
    assert "\\udcff" in _printed(1, "\udcff")
    assert "[red]x[/]" in _printed(1, "[red]x[/]")
    assert '{"a": "é"}' in _printed(1, {"a": "é"})
    assert witness_text({"a": "\udcff", "b": [1]}) == "  a: \\udcff\n  b: [1]"
    assert cell(None) == ""


def test_numbers_stand_to_the_right() -> None:
    head, _, row = (line for line in _printed(7, "x").splitlines() if line.strip())
    assert head.index("count") + len("count") == row.index("7") + 1
