"""The laws of a fiber's tables by numpy: what a check without a solver costs, for comparison in the same run."""

from __future__ import annotations

import numpy as np

from relmachine.gates.constraint_tables import FiberTables


def lawful(tables: FiberTables) -> bool:
    """Whether the tables are a Heyting algebra with two nuclei that commute; every cell has a value."""
    meet, join, implies = (np.asarray(table, dtype=np.intp) for table in (tables.meet, tables.join, tables.implies))
    every = np.arange(len(tables.elements))
    le = meet == every[:, None]
    order = le.diagonal().all() and not (le & le.T & ~np.eye(len(every), dtype=bool)).any()
    transitive = not ((le.astype(np.uint8) @ le.astype(np.uint8) > 0) & ~le).any()
    lower = (le[:, :, None] & le[:, None, :]) == le[every[:, None, None], meet[None, :, :]]
    upper = (le.T[:, :, None] & le.T[:, None, :]) == le.T[every[:, None, None], join[None, :, :]]
    distributive = meet[every[:, None, None], join[None, :, :]] == join[meet[:, :, None], meet[:, None, :]]
    # c ≤ a ⇒ b  iff  c ∩ a ≤ b, at [c, a, b]
    residuated = le[every[:, None, None], implies[None, :, :]] == le[meet[:, :, None], every[None, None, :]]
    bounds = (
        tables.top is not None and le[:, tables.top].all() and tables.bottom is not None and le[tables.bottom].all()
    )
    laws = (order, transitive, lower.all(), upper.all(), distributive.all(), residuated.all(), bounds)
    return bool(all(laws)) and _nuclei(tables, meet, le)


def _nuclei(tables: FiberTables, meet: np.ndarray, le: np.ndarray) -> bool:
    every = np.arange(len(meet))
    saturate, transfer = np.asarray(tables.saturate, dtype=np.intp), np.asarray(tables.transfer, dtype=np.intp)
    for nucleus in (saturate, transfer):
        extensive, idempotent = le[every, nucleus].all(), (nucleus[nucleus] == nucleus).all()
        if not (extensive and idempotent and (nucleus[meet] == meet[nucleus[:, None], nucleus[None, :]]).all()):
            return False
    return bool((saturate[transfer] == transfer[saturate]).all())
