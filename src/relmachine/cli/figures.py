"""The figures of a replay as a table, with what was expected beside them where that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.table import Table


def flat(figures: Mapping[str, object]) -> dict[str, object]:
    """Figures one a line: a figure that is a mapping becomes `name · member` for each member."""
    return dict(_lines(figures))


def matches(figures: Mapping[str, object], expected: Mapping[str, object]) -> bool:
    """Whether every expected figure is there and equal, with no member more in those that are mappings."""
    return all(figures.get(name) == value for name, value in expected.items())


def figures_table(figures: Mapping[str, object], expected: Mapping[str, object] | None = None) -> Table:
    """A line for each figure, and for each one expected that is missing."""
    from relmachine.cli.output import cell, table

    known = flat(expected or {})
    found = flat(figures)
    if expected is None:
        plain = table("figure", "#value")
        for name, value in found.items():
            plain.add_row(cell(name), cell(value))
        return plain
    compared = table("figure", "#value", "#expected", "")
    for name in {**found, **known}:
        compared.add_row(cell(name), cell(found.get(name)), cell(known.get(name)), _mark(name, found, known))
    return compared


def _mark(name: str, found: Mapping[str, object], known: Mapping[str, object]) -> str:
    family = name.partition(" · ")[0]
    if name not in known and not any(other.startswith(f"{family} · ") for other in known):
        return ""
    return "[green]ok[/]" if found.get(name) == known.get(name) else "[bold red]differs[/]"


def _lines(figures: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            members = cast(Mapping[str, object], value)
            yield from ((f"{name} · {member}", members[member]) for member in sorted(members))
        else:
            yield name, value
