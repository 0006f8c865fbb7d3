"""The law of explicit machines: their tables are what the claims they come from give back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from relmachine.machine.compile import stability
from relmachine.machine.declaration import Declaration
from relmachine.machine.explicit import ONTO, Mismatch, mismatches, points_of, restriction_mismatches
from relmachine.machine.report import Finding

_SHOWN_MAX = 5


def tables_lawful(declaration: Declaration) -> Iterator[Finding]:
    """Cells of fibers and restrictions that break a law, and steps of another kind than the tables say."""
    explicit = declaration.explicit
    if explicit is None:
        return
    broken = [found for name, fiber in explicit.fibers.items() for found in islice(mismatches(fiber, name), _SHOWN_MAX)]
    if not broken:
        for restriction in explicit.restrictions:
            broken += islice(restriction_mismatches(explicit, restriction), _SHOWN_MAX)
    for found in broken:
        yield _finding(found)
    if broken:
        return
    reached = {restriction.earlier for restriction in explicit.restrictions if restriction.later == explicit.whole}
    for name in explicit.fibers.keys() - reached - {explicit.whole}:
        sentence = f"give a restriction from fiber {explicit.whole!r} to {name!r}: nothing says which history has it"
        yield Finding(sentence, {"fiber": name})
    yield from _kinds(declaration)


def _kinds(declaration: Declaration) -> Iterator[Finding]:
    """S and R follow from the kinds of the steps that assert a claim; the tables say them too."""
    explicit = declaration.explicit
    assert explicit is not None
    points = points_of(explicit.fibers[explicit.whole])
    saturation, transfer, _ = stability(declaration)
    for place, name in enumerate(points.points):
        for nucleus, mask, stable in (
            ("saturate", points.saturation, saturation),
            ("transfer", points.transfer, transfer),
        ):
            if bool(mask >> place & 1) is not (name in stable):
                said = "keeps" if mask >> place & 1 else "does not keep"
                sentence = f"change the kind of the steps that assert {name!r}, or the table: {nucleus} {said} it"
                yield Finding(sentence, {"element": name, "nucleus": nucleus})


def _finding(found: Mismatch) -> Finding:
    where = ", ".join(found.elements)
    if found.table == ONTO:
        sentence = (
            f"{found.fiber}: map some element to each of {where}: a restriction forgets, and reaches all that is left"
        )
        return Finding(sentence, {"fiber": found.fiber, "elements": list(found.elements)})
    sentence = f"{found.fiber}: {found.table} of {where or 'the fiber'} breaks a law; the programs say which"
    return Finding(sentence, {"fiber": found.fiber, "table": found.table, "elements": list(found.elements)})
