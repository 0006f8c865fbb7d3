"""Goal: machines given by tables are taken exactly when their tables keep the laws, and then run as they say. Method:
the examples; mutants of the permit log's tables against the programs; a store written by such a machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from relmachine.algebra.fibers import Fiber
from relmachine.errors import Code, RelmError
from relmachine.gates.constraint_tables import FiberTables, RestrictionTable
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.explicit import explicit_violations, refuse_broken_tables
from relmachine.kernel.limits import Limits
from relmachine.kernel.standing import fiber_of
from relmachine.machine.explicit import Explicit, ExplicitFiber, ExplicitRestriction, mismatches, points_of
from relmachine.machine.explicit import restriction_mismatches as map_mismatches
from relmachine.machine.loader import load
from relmachine.machine.machine import Machine
from relmachine.machine.report import Law
from relmachine.machine.yaml_form import parse_machine
from relmachine.store.sqlite import SqliteStore
from tests.contract.store_turns import Desk
from tests.mutations import of_tables, real

EXAMPLES = Path(__file__).parents[3] / "examples" / "fibers"
LAWFUL = {"chain": 3, "opens": 5, "nucleus": 4, "rows": 4}
BROKEN = {
    "nucleus": ("idempotent", "whole", ("saturate", "facts")),
    "table": ("residuated", "whole", ("ac", "c", "ac")),
    "restriction": ("restriction_top", "whole to early", ("known",)),
    "diamond": ("distributive", "whole", ("x", "y", "z")),
}


def explicit_of(machine: Machine) -> Explicit:
    assert machine.declaration.explicit is not None
    return machine.declaration.explicit


def given(tables: FiberTables) -> ExplicitFiber:
    """The tables with one name for each element: a point bears its own."""
    tops = {element: name for name, element in _points(tables).items()}
    names = tuple(tops.get(element, "and".join(element) or "nothing") for element in tables.elements)
    return ExplicitFiber(
        names, tables.meet, tables.join, tables.implies, tables.saturate, tables.transfer, tables.top, tables.bottom
    )


def _points(tables: FiberTables) -> dict[str, tuple[str, ...]]:
    """For each claim the smallest element that has it."""
    names = {name for element in tables.elements for name in element}
    return {name: min((e for e in tables.elements if name in e), key=len) for name in names}


@pytest.mark.parametrize("name", LAWFUL)
def test_the_examples_keep_every_law(name: str) -> None:
    machine = load(EXAMPLES / f"{name}.yaml")
    assert explicit_violations(explicit_of(machine)) == []
    refuse_broken_tables(machine.declaration.explicit)
    assert machine.check().ok
    fiber = fiber_of(machine.plan(), (1 << len(machine.plan().claims)) - 1)
    assert len(fiber.elements(99) or ()) == LAWFUL[name]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_are_refused_with_their_elements(name: str) -> None:
    machine = load(EXAMPLES / "broken" / f"{name}.yaml")
    found = [(item.law, item.subject, item.witness) for item in explicit_violations(explicit_of(machine))]
    assert BROKEN[name] in found
    assert machine.check().of(Law.TABLES_LAWFUL).findings
    with pytest.raises(RelmError) as refused:
        machine.plan()
    assert refused.value.code is Code.MACHINE_INVALID
    with pytest.raises(RelmError) as refused:
        refuse_broken_tables(machine.declaration.explicit)
    assert refused.value.witness["laws"]


def test_the_example_that_is_not_boolean_has_the_nuclei_that_it_says() -> None:
    plan = load(EXAMPLES / "nucleus.yaml").plan()
    fiber = fiber_of(plan, 0b111)
    guess = fiber.mask("facts", "guess")
    assert fiber.saturate(fiber.mask("facts")) == guess
    assert fiber.settle(fiber.mask("facts")) == guess
    assert fiber.transfer_of(fiber.mask("facts")) == fiber.mask("facts")
    assert fiber.poset.implies(fiber.mask("facts"), 0) == 0
    assert fiber.poset.join(fiber.mask("facts"), 0) != fiber.poset.top, "a or not a is not ⊤"


def test_tables_of_every_small_fiber_give_back_its_points() -> None:
    fibers = {fiber.fiber_id: fiber for fiber in real.fibers()}
    for fiber_id, tables in real.tables(17).items():
        points = points_of(given(tables))
        assert points.fiber_id == fibers.get(fiber_id, Fiber((), (), 0, 0)).fiber_id
        assert list(mismatches(given(tables), "f")) == []


@pytest.mark.parametrize("family", [0, 4, 5, 6, 7, 8, 9, 11, 14])
def test_a_machine_is_refused_exactly_when_the_programs_find_something(family: int) -> None:
    """Also by the room that knows no programs: tables are lawful when they are what their points give back."""
    drawn, rng = of_tables.families(13)[family], Random(family)
    refused = 0
    for _ in range(25):
        mutant = drawn.draw(rng)
        if mutant is None:
            continue
        tables = mutant.mutant
        assert isinstance(tables, FiberTables)
        try:
            found = list(mismatches(given(tables), "f"))
        except (StopIteration, KeyError) as error:
            pytest.fail(f"{mutant.cell}: {error!r}")
        assert bool(found) is bool(drawn.broken(tables)), mutant.cell
        refused += bool(found)
    assert refused >= 10


def test_a_restriction_is_refused_exactly_when_the_programs_find_something_or_it_misses_an_element() -> None:
    rng, maps = Random(3), of_tables.OfMaps(13)
    refused = 0
    for _ in range(150):
        _, table = rng.choice(maps.maps)
        place = rng.randrange(len(table.image))
        value = rng.randrange(len(table.earlier.elements)) if rng.random() < 0.7 else table.image[place]
        mutant = RestrictionTable(table.later, table.earlier, (*table.image[:place], value, *table.image[place + 1 :]))
        explicit = Explicit(
            {"later": given(table.later), "earlier": given(table.earlier)},
            (ExplicitRestriction("later", "earlier", mutant.image),),
        )
        found = list(map_mismatches(explicit, explicit.restrictions[0]))
        onto = set(mutant.image) == set(range(len(table.earlier.elements)))
        assert bool(found) is (not onto or bool(explicit_violations(explicit)))
        refused += bool(found)
    assert 30 < refused < 140


def test_what_such_a_machine_writes_are_its_tables(tmp_path: Path) -> None:
    """The turns go through the gate, which asks the same programs; the rows are read back by SQL."""
    machine = load(EXAMPLES / "opens.yaml")
    plan, explicit = machine.plan(), explicit_of(machine)
    desk = Desk.new(plan)
    steps = ("reach_harbour", "reach_a", "reach_b")
    turn = desk.turn("a", *(desk.steps.admitted("a", step) for step in steps))
    checker = ConstraintChecker(plan, Limits())

    async def written() -> dict[tuple[str, str], str]:
        assert await checker.check([turn]) == [{}]
        assert checker.asked > 0
        store = SqliteStore.open(tmp_path / "store.db", plan)
        await store.commit([turn])
        whole = fiber_of(plan, 0b111)
        rows = await store.select("SELECT a, b, result FROM fiber_impl WHERE fiber_id = ?", (whole.fiber_id,))
        await store.close()
        return {
            (name(whole, a), name(whole, b)): name(whole, c)
            for a, b, c in rows.rows  # type: ignore[misc]
        }

    def name(fiber: Fiber, element: int) -> str:
        """The element of the author's tables: the largest that has just these points below it."""
        given_tables = explicit.fibers["whole"]
        for place, found in enumerate(given_tables.elements):
            below = {x for x in fiber.points if given_tables.meet[given_tables.elements.index(x)][place]
                     == given_tables.elements.index(x)}  # fmt: skip
            if below == set(fiber.names(element)):
                return found
        raise AssertionError(element)

    tables = explicit.fibers["whole"]
    expected = {
        (a, b): tables.elements[tables.implies[i][j] or 0]
        for i, a in enumerate(tables.elements)
        for j, b in enumerate(tables.elements)
    }
    assert asyncio.run(written()) == expected


def test_a_step_of_another_kind_than_the_tables_say_is_named() -> None:
    text = (EXAMPLES / "nucleus.yaml").read_text(encoding="utf-8").replace("kind: derivation", "kind: process")
    (found,) = parse_machine(text).check().of(Law.TABLES_LAWFUL).findings
    assert found.witness == {"element": "guess", "nucleus": "saturate"}


def test_a_fiber_that_no_restriction_reaches_is_named() -> None:
    text = (EXAMPLES / "chain.yaml").read_text(encoding="utf-8")
    cut = text[: text.index("restrictions:")] + text[text.index("steps:") :]
    (found,) = parse_machine(cut).check().of(Law.TABLES_LAWFUL).findings
    assert found.witness == {"fiber": "early"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("ATTACH DATABASE 'x' AS y;", "line 1: only INSERT INTO"),
        ("-- rows\nDELETE FROM nuclei;", "line 2: only INSERT INTO"),
        ("INSERT INTO nowhere VALUES (1);", "only INSERT INTO"),
        ("INSERT INTO nuclei SELECT 'f', 0, 0, 0;", "only INSERT INTO"),
        ("INSERT INTO nuclei VALUES ('f', 0, 0, 0), ('f', 0, 1, 1);", "two rows for"),
        ("INSERT INTO nuclei VALUES ('f', 0, NULL, 0);", "write the row's values"),
        ("INSERT INTO fiber_elements VALUES ('f', " + "9" * 5000 + ");", "at most 18 digits"),
        ("", "insert the elements of a fiber"),
        ("-- nothing\n", "insert the elements of a fiber"),
        ("INSERT INTO nuclei VALUES ('f', 0, 'x', 0);", "1 texts and then 3 numbers"),
        ("INSERT INTO nuclei VALUES ('f', 0, 0);", "1 texts and then 3 numbers"),
        ("INSERT INTO nuclei VALUES ('f', 0, 0, 0)", "a comma or a semicolon"),
        ("INSERT INTO restriction_maps VALUES ('f', 'g', 0, 0);", "list its elements"),
        ("".join(f"INSERT INTO fiber_elements VALUES ('f', {n});" for n in range(65)), "at most 64"),
    ],
)  # fmt: skip
def test_a_script_of_rows_can_do_nothing_else(tmp_path: Path, script: str, why: str) -> None:
    (tmp_path / "rows.sql").write_text(script)
    (tmp_path / "machine.yaml").write_text((EXAMPLES / "rows.yaml").read_text(encoding="utf-8"))
    with pytest.raises(RelmError, match=why) as refused:
        load(tmp_path / "machine.yaml")
    assert refused.value.code is Code.MACHINE_INVALID


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("order: [[nothing, suspected]]", "order: [[nothing, sus]]", "no element 'sus'"),
        ("to: early", "to: late", "names fiber 'late'"),
        ("elements: [nothing, suspected]", "elements: [nothing, nothing]", "twice"),
        ("order: [[nothing, suspected]]", "orders: []", "unknown key 'orders' in fibers.early"),
        ("machine: chain", "machine: chain\ntables: rows.sql", "not both"),
    ],
)
def test_mistakes_teach(old: str, new: str, why: str) -> None:
    text = (EXAMPLES / "chain.yaml").read_text(encoding="utf-8")
    with pytest.raises(RelmError, match=why):
        parse_machine(text.replace(old, new))
