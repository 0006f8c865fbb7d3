"""Fibers and pairs of fibers that one solve is asked about, and the verdicts read back.

A fiber is asked by its points, and by its tables too when they are small; so is the restriction between two fibers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from relmachine.algebra.fibers import Fiber
from relmachine.gates.constraint_checks import (
    FIBER_POINT_PROGRAMS,
    FIBER_TABLE_PROGRAMS,
    RESTRICTION_POINT_PROGRAMS,
    RESTRICTION_TABLE_PROGRAMS,
    named,
)
from relmachine.gates.constraint_facts import Numbers, map_facts, point_facts, table_facts
from relmachine.gates.constraint_laws import Named, refusal
from relmachine.gates.constraint_programs import Found
from relmachine.gates.constraint_tables import FiberTables, fiber_tables, restriction_table
from relmachine.kernel.verdicts import Refusal

Pair = tuple[str, str]
"""Ids of the fibers of a later and of an earlier history."""

Verdicts = Mapping[str | Pair, Refusal | None]
"""What was found of fibers, by id, and of pairs: why a step that leads there is refused; None when the laws hold."""

_POINTS = (*FIBER_POINT_PROGRAMS, *RESTRICTION_POINT_PROGRAMS)
_TABLES = (*FIBER_TABLE_PROGRAMS, *RESTRICTION_TABLE_PROGRAMS)


class FirstSeen:
    """What one solve is asked. Numbers up to `last_number` are taken by fibers and pairs."""

    def __init__(self, elements_max: int) -> None:
        self._elements_max = elements_max
        self._claims = Numbers()
        self._told: dict[str, tuple[int, Fiber]] = {}
        self._asked: dict[int, str | Pair] = {}
        self._pairs: set[Pair] = set()
        self.last_number = 0

    def __len__(self) -> int:
        """Fibers and pairs asked about."""
        return len(self._asked)

    def ask_fiber(self, fiber: Fiber) -> None:
        """Whether `fiber` keeps the laws of a fiber."""
        self._asked[self._tell(fiber)] = fiber.fiber_id

    def ask_pair(self, later: Fiber, earlier: Fiber) -> None:
        """Whether the restriction from `later` to `earlier` keeps its laws."""
        pair = later.fiber_id, earlier.fiber_id
        self._tell(later)
        self._tell(earlier)
        if pair not in self._pairs:
            self._pairs.add(pair)
            self.last_number += 1
            self._asked[self.last_number] = pair

    def programs_and_facts(self) -> tuple[tuple[str, ...], str]:
        """The programs to ask and the facts to give them."""
        tables: dict[int, FiberTables] = {}
        lines: list[str] = []
        for number, fiber in self._told.values():
            lines.append(point_facts(number, fiber, self._claims))
            small = fiber_tables(fiber, self._elements_max)
            if small is not None:
                tables[number] = small
                lines.append(table_facts(number, small))
        for number, asked in self._asked.items():
            lines += self._fiber(number, tables) if isinstance(asked, str) else self._pair(number, asked, tables)
        return (*_POINTS, *(_TABLES if tables else ())), "".join(lines)

    def verdicts(self, found: Iterable[Found]) -> Verdicts:
        """The verdict on every fiber and pair asked, from what the programs found."""
        verdicts: dict[str | Pair, Refusal | None] = dict.fromkeys(self._asked.values())
        for item in sorted(found, key=_by_claims_first):
            asked = self._asked.get(item.subject)
            if asked is not None and verdicts[asked] is None:
                verdicts[asked] = self._refusal(item, asked)
        return verdicts

    def _tell(self, fiber: Fiber) -> int:
        if fiber.fiber_id not in self._told:
            self.last_number += 1
            self._told[fiber.fiber_id] = self.last_number, fiber
        return self._told[fiber.fiber_id][0]

    def _fiber(self, number: int, tables: dict[int, FiberTables]) -> list[str]:
        return [f"fiber({number}).", f"algebra({number})." if number in tables else ""]

    def _pair(self, number: int, pair: Pair, tables: dict[int, FiberTables]) -> list[str]:
        later, earlier = self._told[pair[0]][0], self._told[pair[1]][0]
        lines = [f"inclusion({number},{later},{earlier})."]
        if later in tables and earlier in tables:
            table = restriction_table(tables[later], tables[earlier])
            lines.append(map_facts(number, later, earlier, table))
        return lines

    def _refusal(self, found: Found, asked: str | Pair) -> Refusal:
        later = asked if isinstance(asked, str) else asked[0]
        fiber = self._told[later][1]

        def element(place: int) -> Named:
            elements = fiber.elements(self._elements_max)
            return None if elements is None else fiber.names(elements[place])

        where = {"fiber": later} if isinstance(asked, str) else {"fiber": later, "restricted_to": asked[1]}
        return refusal(named(found, found.subject, element, self._claims.of_kind), **where)


def _by_claims_first(found: Found) -> bool:
    """Sorts witnesses made of claims before those made of elements: they say more to whoever declared the machine."""
    return not any(isinstance(term, tuple) for term in found.witness)
