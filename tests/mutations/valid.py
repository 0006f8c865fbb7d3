"""What the log gives without a change, counted: nothing of it may be refused."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from relmachine.gates.constraint_checks import (
    check_fibers_by_points,
    check_fibers_by_tables,
    check_orders,
    check_restrictions_by_points,
    check_restrictions_by_tables,
    check_sections,
)
from relmachine.gates.constraint_laws import Violation
from relmachine.gates.constraint_programs import solve
from relmachine.gates.constraint_tables import restriction_table
from relmachine.gates.constraint_turns import TURN_PROGRAMS, TurnFacts
from tests.mutations import real
from tests.mutations.of_histories import covered, once

_AT_ONCE = 300
MAP_ELEMENTS_MAX = 29


class Valid(NamedTuple):
    """How many of one kind were asked about, and what was refused of them."""

    kind: str
    asked: int
    refused: Sequence[object]


def valid(elements_max: int) -> list[Valid]:
    """Every kind; tables of fibers with at most `elements_max` elements."""
    tables = real.tables(elements_max)
    fibers = real.fibers()
    inclusions = [
        (later, earlier) for later in fibers for earlier in fibers if set(earlier.points) <= set(later.points)
    ]
    maps = [
        restriction_table(tables[later.fiber_id], tables[earlier.fiber_id])
        for later, earlier in real.pairs()
        if later.fiber_id in tables and len(tables[later.fiber_id].elements) <= MAP_ELEMENTS_MAX
    ]
    rng = Random("covers")
    turns = [turn for turn in real.turns() if turn.events]
    families = [covered(rng, turn) for turn in turns]
    refused: list[Violation] = []
    for start in range(0, len(families), _AT_ONCE):
        refused += check_sections(families[start : start + _AT_ONCE])
    return [
        Valid("fibers by points", len(fibers), check_fibers_by_points(fibers)),
        Valid("fibers by tables", len(tables), check_fibers_by_tables(list(tables.values()))),
        Valid("restrictions by points", len(inclusions), check_restrictions_by_points(inclusions)),
        Valid("restrictions by tables", len(maps), check_restrictions_by_tables(maps)),
        Valid("prefix orders", len(turns), check_orders([real.order_of(turn) for turn in turns])),
        Valid("families of sections", len(families), refused),
        Valid("turns", len(turns), solve(TURN_PROGRAMS, TurnFacts(turns, once(), first=1).text)),
    ]
