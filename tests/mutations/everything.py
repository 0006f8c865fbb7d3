"""All families, in the order of `docs/math.md` section 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.mutations import of_histories, of_points, of_steps, of_tables, of_turns
from tests.mutations.family import Family

ROOMS: Mapping[str, Callable[[int], list[Family[Any]]]] = {
    "tables": lambda elements_max: [*of_tables.families(elements_max)],
    "points": lambda _: [*of_points.families()],
    "histories": lambda _: [*of_histories.families()],
    "turns": lambda _: [*of_turns.families()],
    "steps": lambda _: [*of_steps.families()],
}
"""The families by what they are mutants of; those of tables take fibers up to a number of elements."""


def families(elements_max: int) -> list[Family[Any]]:
    """Every family."""
    return [family for room in ROOMS.values() for family in room(elements_max)]
