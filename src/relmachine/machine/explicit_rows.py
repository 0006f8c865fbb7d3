"""Explicit fibers and restrictions as SQL rows: INSERTs of values into tables with the store's own columns.

Read here and run nowhere: `INSERT INTO fiber_meet VALUES ('whole', 0, 1, 0), …;` is all the SQL there is, as `.mode
insert` of a SQLite shell writes it. Elements are numbers; `e5` is the name of element 5, and of its claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from relmachine.errors import Code, RelmError
from relmachine.machine.explicit import ELEMENTS_MAX, Explicit, ExplicitFiber, ExplicitRestriction, Row

_COLUMNS: Mapping[str, tuple[int, int]] = {
    "fiber_elements": (1, 1),
    "fiber_meet": (1, 3),
    "fiber_join": (1, 3),
    "fiber_impl": (1, 3),
    "nuclei": (1, 3),
    "restriction_maps": (2, 2),
}
"""For each table how many texts (fiber ids) and then how many numbers (elements) a row has."""

_Cells = dict[tuple[str | int, ...], tuple[int, ...]]

_INSERT = re.compile(r"INSERT\s+INTO\s+\"?(\w+)\"?\s*(?:\([^()]*\)\s*)?VALUES\s*", re.IGNORECASE)
_VALUES = re.compile(r"\(\s*((?:'[^']*'|-?[0-9]{1,18})(?:\s*,\s*(?:'[^']*'|-?[0-9]{1,18}))*)\s*\)\s*")
_BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|$))*")


def explicit_of_rows(script: str, file: str) -> Explicit:
    """The tables that `script` inserts. Errors: `machine_invalid` for anything else in it, and rows that do not fit."""
    rows = _Reader(script, file).rows()
    elements: dict[str, list[int]] = {}
    for key in rows["fiber_elements"]:
        elements.setdefault(str(key[0]), []).append(int(key[1]))
    fibers = {name: _fiber(rows, name, sorted(found)) for name, found in elements.items()}
    pairs = dict.fromkeys((str(key[0]), str(key[1])) for key in rows["restriction_maps"])
    restrictions = tuple(_restriction(rows, elements, later, earlier) for later, earlier in pairs)
    if not elements:
        raise RelmError(Code.MACHINE_INVALID, f"{file}: insert the elements of a fiber into fiber_elements", file=file)
    return Explicit(fibers, restrictions)


class _Reader:
    """Reads INSERTs one after another."""

    def __init__(self, script: str, file: str) -> None:
        self._script, self._file, self._at = script, file, 0
        self._rows: dict[str, _Cells] = {table: {} for table in _COLUMNS}

    def rows(self) -> Mapping[str, _Cells]:
        """By table the cells by key: all columns but the results."""
        while self._skip():
            match = _INSERT.match(self._script, self._at)
            if match is None or match[1].lower() not in _COLUMNS:
                raise self._error(f"only INSERT INTO {', '.join(_COLUMNS)} … VALUES stands here")
            self._at = match.end()
            self._values(match[1].lower())
        return self._rows

    def _values(self, table: str) -> None:
        while True:
            self._skip()
            match = _VALUES.match(self._script, self._at)
            if match is None:
                raise self._error("write the row's values as ('name', 1, 2), with numbers of at most 18 digits")
            self._add(table, match[1])
            self._at = match.end()
            self._skip()
            mark = self._script[self._at : self._at + 1]
            self._at += 1
            if mark == ";":
                return
            if mark != ",":
                raise self._error("a row is followed by a comma or a semicolon")

    def _add(self, table: str, values: str) -> None:
        texts, numbers = _COLUMNS[table]
        cells = [part.strip() for part in values.split(",")]
        fits = (
            len(cells) == texts + numbers
            and [cell.startswith("'") for cell in cells] == [True] * texts + [False] * numbers
        )
        if not fits:
            raise self._error(f"a row of {table} has {texts} texts and then {numbers} numbers")
        row: list[str | int] = [*(cell.strip("'") for cell in cells[:texts]), *map(int, cells[texts:])]
        results = {"fiber_elements": 0, "nuclei": 2}.get(table, 1)
        key = tuple(row[: len(row) - results])
        if key in self._rows[table]:
            raise self._error(f"{table} has two rows for {key}")
        self._rows[table][key] = tuple(int(cell) for cell in row[len(row) - results :])

    def _skip(self) -> bool:
        """Past blanks and comments; whether something follows."""
        blank = _BLANK.match(self._script, self._at)
        self._at = blank.end() if blank else self._at
        return self._at < len(self._script)

    def _error(self, why: str) -> RelmError:
        line = self._script.count("\n", 0, self._at) + 1
        return RelmError(Code.MACHINE_INVALID, f"{self._file}, line {line}: {why}", file=self._file, line=line)


def _fiber(rows: Mapping[str, _Cells], name: str, elements: list[int]) -> ExplicitFiber:
    if len(elements) > ELEMENTS_MAX:
        sentence = f"fiber {name!r} has {len(elements)} elements: tables have at most {ELEMENTS_MAX}"
        raise RelmError(Code.MACHINE_INVALID, sentence, fiber=name, elements_max=ELEMENTS_MAX)
    place = {element: index for index, element in enumerate(elements)}

    def table(of: str) -> tuple[Row, ...]:
        told = rows[of]
        return tuple(tuple(place.get(told.get((name, a, b), (-1,))[0]) for b in elements) for a in elements)

    def nucleus(column: int) -> Row:
        return tuple(place.get(rows["nuclei"].get((name, a), (-1, -1))[column]) for a in elements)

    meet = table("fiber_meet")
    size = range(len(elements))
    return ExplicitFiber(
        elements=tuple(f"e{element}" for element in elements),
        meet=meet,
        join=table("fiber_join"),
        implies=table("fiber_impl"),
        saturate=nucleus(0),
        transfer=nucleus(1),
        top=_first(c for c in size if all(meet[a][c] == a for a in size)),
        bottom=_first(c for c in size if all(meet[c][a] == c for a in size)),
    )


def _restriction(
    rows: Mapping[str, _Cells], elements: Mapping[str, list[int]], later: str, earlier: str
) -> ExplicitRestriction:
    for fiber in (later, earlier):
        if fiber not in elements:
            raise RelmError(
                Code.MACHINE_INVALID, f"a restriction names fiber {fiber!r}: list its elements", fiber=fiber
            )
    place = {element: index for index, element in enumerate(sorted(elements[earlier]))}
    told = rows["restriction_maps"]
    image = tuple(place.get(told.get((later, earlier, a), (-1,))[0]) for a in sorted(elements[later]))
    return ExplicitRestriction(later, earlier, image)


def _first(found: Iterable[int]) -> int | None:
    return next(iter(found), None)
