"""The rows of a fiber: its points, and for small fibers the tables derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from relmachine.algebra.fibers import Fiber
from relmachine.store import tables
from relmachine.store.tables import Target

Rows = Mapping[Target, list[tuple[object, ...]]]
"""Rows by the table they go to, in an order in which what is referred to comes first."""


def fiber_rows(fibers: Iterable[Fiber], elements_max: int) -> Rows:
    """Rows of `fibers`; elements, operations and nuclei of those with at most `elements_max` elements."""
    rows: dict[Target, list[tuple[object, ...]]] = {target: [] for target in tables.OF_FIBERS}
    for fiber in fibers:
        rows[tables.FIBERS].append((fiber.fiber_id, len(fiber.points)))
        rows[tables.FIBER_POINTS] += [
            (
                fiber.fiber_id,
                position,
                point,
                orjson.dumps(fiber.names(fiber.up[position])).decode(),
                fiber.saturation >> position & 1,
                fiber.transfer >> position & 1,
            )
            for position, point in enumerate(fiber.points)
        ]
        _operations(fiber, fiber.elements(elements_max) or (), rows)
    return rows


def _operations(fiber: Fiber, elements: tuple[int, ...], rows: dict[Target, list[tuple[object, ...]]]) -> None:
    key, poset = fiber.fiber_id, fiber.poset
    rows[tables.FIBER_ELEMENTS] += [(key, a) for a in elements]
    rows[tables.FIBER_MEET] += [(key, a, b, poset.meet(a, b)) for a in elements for b in elements]
    rows[tables.FIBER_JOIN] += [(key, a, b, poset.join(a, b)) for a in elements for b in elements]
    rows[tables.FIBER_IMPL] += [(key, a, b, poset.implies(a, b)) for a in elements for b in elements]
    rows[tables.NUCLEI] += [(key, a, fiber.saturate(a), fiber.transfer_of(a)) for a in elements]
