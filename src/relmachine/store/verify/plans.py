"""Verification of what a store says of its machine: its plans, and the tables and facts that follow from them.

Nothing here proves the declaration itself: the laws digest covers payload schemas, which a store does not keep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import cast

from relmachine.algebra.posets import bits
from relmachine.machine.compile import matrix_digest
from relmachine.machine.plan import Kind, Plan
from relmachine.store import tables
from relmachine.store.declaration import load_plan, same_laws
from relmachine.store.opening import SCHEMA_VERSION, description, plan_row
from relmachine.store.points import table_rows
from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, elsewhere, reason

_PLANS = "SELECT plan_digest, machine, version, laws_digest, matrix_digest, declaration FROM plans ORDER BY rowid"
_STORE_ID = re.compile("[0-9a-f]{32}")


async def read_plans(store: Reads) -> dict[str, Plan] | Fault:
    """The plans by digest, first to last, when every column of theirs is what the declaration says."""
    plans: dict[str, Plan] = {}
    for row in (await store.select(_PLANS)).rows:
        try:
            plan = load_plan(cast(str, row[5]))
            broken = _contradiction(plan)
        except Exception as error:  # a damaged text may break the reading of it anywhere
            return elsewhere("plans.declaration: cannot be read", row[5], reason(error))
        for name, found, computed in zip(tables.PLANS.columns, row, plan_row(plan), strict=True):
            if found != computed:
                return elsewhere(f"plans.{name}: not what the declaration says", found, computed)
        if broken is not None:
            return elsewhere("plans.declaration: contradicts itself", broken)
        plans[plan.digest] = plan
    if not plans:
        return elsewhere("plans: no row")
    first, *others = plans.values()
    for other in others:
        if not same_laws(first, other):
            return elsewhere("plans.declaration: other laws than the first plan's", other.digest, first.digest)
    return plans


def _contradiction(plan: Plan) -> str | None:
    """What of a declaration cannot be, going by the rest of it."""
    steps = plan.steps
    vetoable = _union(step.vetoes for step in steps)
    saturation, transfer = (
        _stable(plan, lambda kind: kind.saturation_stable),
        _stable(plan, lambda kind: kind.transfer_stable),
    )
    pairs = [
        (one.name, other.name) for one, other in combinations(steps, 2) if plan.dependent[one.index] >> other.index & 1
    ]
    laws = {
        "vetoable": plan.vetoable == vetoable,
        "stable_saturation": plan.stable_saturation == saturation,
        "stable_transfer": plan.stable_transfer == transfer & ~vetoable,
        "reads and writes": all(step.read_fields | step.writes <= plan.fields.keys() for step in steps),
        "recorded": all({name for name, _ in step.recorded} in (set(), step.writes) for step in steps),
        "needs": all(plan.claims[claim].requires & ~step.needs == 0 for step in steps for claim in bits(step.asserts)),
        "dependent": all(plan.dependent[step.index] >> step.index & 1 for step in steps),
        "matrix_digest": matrix_digest([step.name for step in steps], dict.fromkeys(pairs, ())) == plan.matrix_digest,
    }
    return next((name for name, holds in laws.items() if not holds), None)


def _stable(plan: Plan, stable: Callable[[Kind], bool]) -> int:
    """Mask of the claims that some step asserts, and only steps of a stable kind."""
    steps = plan.steps
    return _union(step.asserts for step in steps) & ~_union(step.asserts for step in steps if not stable(step.kind))


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


async def check_description(store: Reads, plans: Mapping[str, Plan]) -> Fault | None:
    """What the tables that describe the machine say otherwise than its plan."""
    first = next(iter(plans.values()))
    for target, computed in description(first).items():
        found = await table_rows(store, target)
        if target is tables.META:
            pairs = cast("list[tuple[str, str]]", computed)
            fault = _meta(dict(cast("list[tuple[str, str]]", found)), dict(pairs), first)
            if fault is not None:
                return fault
        elif found != sorted(computed):
            return elsewhere(f"{target.name}: not what the plan declares", found, sorted(computed))
    return None


def _meta(found: dict[str, str], computed: dict[str, str], first: Plan) -> Fault | None:
    # A store's id is drawn at random: any of its form may be right.
    if not _STORE_ID.fullmatch(found.get("store_id", "")):
        return elsewhere("meta.value of store_id", found.get("store_id", ""), "32 hexadecimal characters")
    expected = {
        **computed,
        "schema_version": str(SCHEMA_VERSION),
        "store_id": found["store_id"],
        "version": first.version,
    }
    return None if found == expected else elsewhere("meta: not what the first plan declares", found, expected)
