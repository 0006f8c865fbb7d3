"""Goal: the views say what math.md defines. Method: one filled store; every row against the algebra."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from relmachine.algebra.restrictions import Restriction
from relmachine.store import reading
from relmachine.store.sqlite import SqliteReading
from tests.unit.store.stored import ask, filled


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store.db"
    filled(place)
    return place


def test_restrictions_are_those_of_the_algebra(path: Path) -> None:
    async def check(store: SqliteReading) -> int:
        rows = (await store.select("SELECT from_history, to_history, elem_in, elem_out FROM restrictions")).rows
        for longer, shorter, elem_in, elem_out in rows:
            larger, smaller = await reading.fiber(store, str(longer)), await reading.fiber(store, str(shorter))
            restrict = larger.restrict(smaller)
            assert isinstance(restrict, Restriction)
            assert isinstance(elem_in, int)
            assert restrict(elem_in) == elem_out
        return len(rows)

    assert ask(path, check) == 2 + 4 * 3 + 2 + 3 + 4 + 3 * 7, "the elements of every history's fiber"


def test_section_deltas_add_up_to_the_contributions(path: Path) -> None:
    async def check(store: SqliteReading) -> None:
        rows = (await store.select("SELECT * FROM section_deltas ORDER BY thread, seq")).dicts()
        assert len(rows) == 11
        for row in rows:
            contributions = (
                await store.select("SELECT field, value FROM contributions WHERE event_id = ?", (row["event_id"],))
            ).rows
            delta = orjson.loads(str(row["delta"]))
            assert delta == {str(name): orjson.loads(str(value)) for name, value in contributions}
        for before, after in pairwise(rows):
            if before["thread"] == after["thread"]:
                assert after["source"] == before["history_id"]

    ask(path, check)


def test_operation_tables_are_those_of_the_algebra(path: Path) -> None:
    async def check(store: SqliteReading) -> None:
        fibers = (await store.select("SELECT DISTINCT h.fiber_id, min(h.history_id) FROM histories h GROUP BY 1")).rows
        assert len(fibers) == 4
        for fiber_id, history in fibers:
            fiber = await reading.fiber(store, str(history))
            operations = {"meet": fiber.poset.meet, "join": fiber.poset.join, "impl": fiber.poset.implies}
            for name, operation in operations.items():
                table = (
                    await store.select(f"SELECT a, b, result FROM fiber_{name} WHERE fiber_id = ?", (fiber_id,))
                ).rows
                assert {(a, b): result for a, b, result in table} == {
                    (a, b): operation(a, b) for a in fiber.elements(99) or () for b in fiber.elements(99) or ()
                }
            nuclei = (
                await store.select("SELECT elem, saturate, transfer FROM nuclei WHERE fiber_id = ?", (fiber_id,))
            ).rows
            assert set(nuclei) == {(a, fiber.saturate(a), fiber.transfer_of(a)) for a in fiber.elements(99) or ()}

    ask(path, check)


def test_the_machine_can_be_read_without_its_file(path: Path) -> None:
    async def check(store: SqliteReading) -> None:
        plan = await reading.declared(store)
        independent = {
            (one.name, other.name)
            for one in plan.steps
            for other in plan.steps
            if not plan.dependent[one.index] >> other.index & 1
        }
        assert independent
        assert set((await store.select("SELECT step_a, step_b FROM commutation")).rows) == independent
        assert (await store.select("SELECT kind FROM steps WHERE name = 'opine'")).rows == (("derivation",),)
        assert ("latest", "datetime", "max") in (await store.select("SELECT * FROM accord_fields")).rows

    ask(path, check)
