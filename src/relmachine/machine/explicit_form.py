"""The YAML form of explicit fibers and restrictions: tables, or an order from which ∩, ∪ and ⇒ follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from relmachine.errors import Code, RelmError
from relmachine.machine.explicit import ELEMENTS_MAX, Explicit, ExplicitFiber, ExplicitRestriction, Row

_Name = Annotated[str, Field(max_length=256)]
_Table = dict[_Name, dict[_Name, _Name]]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ExplicitFiberForm(_Form):
    """`elements: [dark, dim, bright]`, `order: [[dark, dim], [dim, bright]]`, `saturate: {dim: bright}`.

    `meet`, `join` and `implies` say A, B and the result; each that is left out follows from `order`, where [A, B] says
    A ≤ B, and what follows from that need not be said. An element that a nucleus leaves out stays itself.
    """

    elements: Annotated[list[_Name], Field(min_length=1, max_length=ELEMENTS_MAX)]
    order: list[Annotated[list[_Name], Field(min_length=2, max_length=2)]] = []
    meet: _Table | None = None
    join: _Table | None = None
    implies: _Table | None = None
    saturate: dict[_Name, _Name] = {}
    transfer: dict[_Name, _Name] = {}
    top: _Name | None = None
    bottom: _Name | None = None


class RestrictionForm(_Form):
    """`{from: whole, to: early, map: {bright: dim}}`: an element that is left out goes to the one of its name."""

    from_: _Name = Field(alias="from")
    to: _Name
    map: dict[_Name, _Name] = {}


def explicit_of(fibers: Mapping[str, ExplicitFiberForm], restrictions: Sequence[RestrictionForm]) -> Explicit | None:
    """The tables; None when there are none. Errors: `machine_invalid` for a name that is not declared."""
    if not fibers and not restrictions:
        return None
    found = {name: _fiber(name, form) for name, form in fibers.items()}
    return Explicit(found, tuple(_restriction(found, form) for form in restrictions))


def _fiber(name: str, form: ExplicitFiberForm) -> ExplicitFiber:
    elements = tuple(form.elements)
    if len(set(elements)) != len(elements):
        raise RelmError(Code.MACHINE_INVALID, f"fiber {name!r} lists an element twice", fiber=name)
    place = _Places(name, elements)
    size = range(len(elements))
    le = [[a == b for b in size] for a in size]
    for one, other in form.order:
        le[place(one)][place(other)] = True
    for middle in size:
        for a in size:
            for b in size:
                le[a][b] = le[a][b] or (le[a][middle] and le[middle][b])

    def greatest(fits: Callable[[int], bool]) -> int | None:
        found = [c for c in size if fits(c)]
        return next((c for c in found if all(le[d][c] for d in found)), None)

    def least(fits: Callable[[int], bool]) -> int | None:
        found = [c for c in size if fits(c)]
        return next((c for c in found if all(le[c][d] for d in found)), None)

    meet = _table(place, form.meet) or tuple(
        tuple(greatest(lambda c, a=a, b=b: le[c][a] and le[c][b]) for b in size) for a in size
    )
    join = _table(place, form.join) or tuple(
        tuple(least(lambda c, a=a, b=b: le[a][c] and le[b][c]) for b in size) for a in size
    )

    def under(c: int, a: int, b: int) -> bool:
        both = meet[c][a]
        return both is not None and meet[both][b] == both

    implies = _table(place, form.implies) or tuple(
        tuple(greatest(lambda c, a=a, b=b: under(c, a, b)) for b in size) for a in size
    )
    ordered = [[meet[a][b] == a for b in size] for a in size]
    top = next((c for c in size if all(ordered[a][c] for a in size)), None)
    bottom = next((c for c in size if all(ordered[c][a] for a in size)), None)
    return ExplicitFiber(
        elements=elements,
        meet=meet,
        join=join,
        implies=implies,
        saturate=_row(place, form.saturate),
        transfer=_row(place, form.transfer),
        top=top if form.top is None else place(form.top),
        bottom=bottom if form.bottom is None else place(form.bottom),
    )


class _Places:
    """Where each element of a fiber stands. Errors: `machine_invalid` for a strange one."""

    def __init__(self, fiber: str, elements: tuple[str, ...]) -> None:
        self.fiber, self.elements = fiber, elements
        self._places = {element: index for index, element in enumerate(elements)}

    def __call__(self, element: str) -> int:
        if element in self._places:
            return self._places[element]
        sentence = f"fiber {self.fiber!r} has no element {element!r}: list it, or name another"
        raise RelmError(Code.MACHINE_INVALID, sentence, fiber=self.fiber, element=element)

    def __contains__(self, element: str) -> bool:
        return element in self._places


def _table(place: _Places, table: _Table | None) -> tuple[Row, ...] | None:
    if table is None:
        return None
    told = {(place(a), place(b)): place(c) for a, row in table.items() for b, c in row.items()}
    size = range(len(place.elements))
    return tuple(tuple(told.get((a, b)) for b in size) for a in size)


def _row(place: _Places, told: Mapping[str, str]) -> Row:
    moved = {place(a): place(b) for a, b in told.items()}
    return tuple(moved.get(a, a) for a in range(len(place.elements)))


def _restriction(fibers: Mapping[str, ExplicitFiber], form: RestrictionForm) -> ExplicitRestriction:
    for name in (form.from_, form.to):
        if name not in fibers:
            raise RelmError(Code.MACHINE_INVALID, f"a restriction names fiber {name!r}: declare it", fiber=name)
    here, there = (_Places(name, fibers[name].elements) for name in (form.from_, form.to))
    told = {here(a): there(b) for a, b in form.map.items()}
    image = tuple(told.get(a, there(name) if name in there else None) for a, name in enumerate(here.elements))
    return ExplicitRestriction(form.from_, form.to, image)
