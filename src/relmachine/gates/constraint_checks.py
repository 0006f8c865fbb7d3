"""The constraint programs asked directly: lists in, broken laws with their witnesses out, none when all hold.

For explicit tables as well as for fibers by points; `ConstraintChecker` asks the same programs of what turns write.
Source: `docs/math.md` section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relmachine.gates.constraint_facts import (
    Numbers,
    family_facts,
    map_facts,
    order_facts,
    point_facts,
    table_facts,
)
from relmachine.gates.constraint_laws import Named, Violation
from relmachine.gates.constraint_programs import Found, Term, solve
from relmachine.gates.constraint_tables import Family, FiberTables, OrderTable, PointForm, RestrictionTable

FIBER_TABLE_PROGRAMS = ("heyting_axioms", "nucleus_laws")
FIBER_POINT_PROGRAMS = ("heyting_axioms_points", "nucleus_laws_points")
RESTRICTION_TABLE_PROGRAMS = ("restriction_maps",)
RESTRICTION_POINT_PROGRAMS = ("restriction_maps_points",)
ORDER_PROGRAMS = ("prefix_order",)
SECTION_PROGRAMS = ("sheaf_conditions",)


def check_fibers_by_tables(fibers: Sequence[FiberTables]) -> list[Violation]:
    """Heyting and nucleus laws on the operation tables; cubic in the number of elements."""
    facts = "".join(f"algebra({number})." + table_facts(number, tables) for number, tables in enumerate(fibers))
    return [
        named(found, found.subject, lambda a, fiber=fibers[found.subject]: fiber.elements[a])
        for found in solve(FIBER_TABLE_PROGRAMS, facts)
    ]


def check_fibers_by_points(fibers: Sequence[PointForm]) -> list[Violation]:
    """The same laws on the points: a partial order, and S and R that commute."""
    claims = Numbers()
    facts = "".join(f"fiber({number})." + point_facts(number, fiber, claims) for number, fiber in enumerate(fibers))
    return [named(found, found.subject, str, claims.of_kind) for found in solve(FIBER_POINT_PROGRAMS, facts)]


def check_restrictions_by_tables(maps: Sequence[RestrictionTable]) -> list[Violation]:
    """That each map preserves ∩, ∪, ⇒, ⊤ and ⊥ and commutes with both nuclei, on the tables of both fibers."""
    facts: list[str] = []
    for number, table in enumerate(maps):
        later, earlier = 2 * number, 2 * number + 1
        facts += (table_facts(later, table.later), table_facts(earlier, table.earlier))
        facts.append(map_facts(number, later, earlier, table))
    return [
        named(found, found.subject, lambda a, table=maps[found.subject]: table.later.elements[a])
        for found in solve(RESTRICTION_TABLE_PROGRAMS, "".join(facts))
    ]


def check_restrictions_by_points(pairs: Sequence[tuple[PointForm, PointForm]]) -> list[Violation]:
    """The same for pairs (fiber of the later history, of the earlier), on the points: an inclusion."""
    claims, facts = Numbers(), list[str]()
    for number, (later, earlier) in enumerate(pairs):
        facts.append(point_facts(2 * number, later, claims) + point_facts(2 * number + 1, earlier, claims))
        facts.append(f"inclusion({number},{2 * number},{2 * number + 1}).")
    found_all = solve(RESTRICTION_POINT_PROGRAMS, "".join(facts))
    return [named(found, found.subject, str, claims.of_kind) for found in found_all]


def check_orders(orders: Sequence[OrderTable]) -> list[Violation]:
    """That each relation is reflexive, transitive and antisymmetric."""
    facts = "".join(order_facts(number, order) for number, order in enumerate(orders))
    return [
        named(found, found.subject, lambda t, order=orders[found.subject]: order.histories[t])
        for found in solve(ORDER_PROGRAMS, facts)
    ]


def check_sections(families: Sequence[Family]) -> list[Violation]:
    """That each family covers, agrees on overlaps, and has exactly one gluing among the sections given.

    Pieces and sections appear in witnesses as `piece 0`, `section 1`, by their place.
    """
    names = Numbers()
    facts = "".join(family_facts(number, family, names) for number, family in enumerate(families))

    def name(kind: str, number: int) -> str:
        return f"{kind} {number}" if kind in {"piece", "section"} else names.name(number)

    return [named(found, found.subject, str, name) for found in solve(SECTION_PROGRAMS, facts)]


def named(
    found: Found,
    subject: int,
    plain: Callable[[int], Named],
    of_kind: Callable[[str, int], Named] = lambda kind, number: f"{kind} {number}",
) -> Violation:
    """What a program found, with `plain` naming the bare numbers of the witness and `of_kind` those of some kind."""
    return Violation(found.law, subject, tuple(_name(term, plain, of_kind) for term in found.witness))


def _name(term: Term, plain: Callable[[int], Named], of_kind: Callable[[str, int], Named]) -> Named:
    match term:
        case int(number):
            return plain(number)
        case (kind, number):
            return of_kind(kind, number)
        case _:
            return term
