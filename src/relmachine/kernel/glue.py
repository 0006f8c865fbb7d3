"""When two continuations of one history are one history, and what stands in the way when they are not.

Source: `docs/math.md` section 4. The union exists exactly when every event that one has for itself is of a type
independent of every such event of the other; a step key that both used for different events stands in the way too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import orjson

from relmachine.algebra.identity import digest, hash_of
from relmachine.algebra.obstructions import Disagreement
from relmachine.kernel.control import MERGE
from relmachine.kernel.control_rows import ObstructionRow
from relmachine.kernel.joining import PastEvent
from relmachine.machine.dependence import Reason, Rule, reasons
from relmachine.machine.footprint import footprint_of
from relmachine.machine.plan import Plan, Reducer


@dataclass(frozen=True, slots=True)
class Difference:
    """What two histories of one genesis have each for itself, in an order that respects them.

    `ours` are the events of thread `target`, `theirs` those of thread `source`, without the `left_out` ones that
    resolved obstructions leave out.
    """

    target: str
    source: str
    ours: Sequence[PastEvent]
    theirs: Sequence[PastEvent]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Clashes:
    """What keeps the union from existing: the first `rows`, of `pairs` in all."""

    rows: tuple[ObstructionRow, ...]
    pairs: int


def merge_details(difference: Difference) -> dict[str, object]:
    """What the outcome of a merge tells beside its history."""
    events, left_out = len(difference.theirs), difference.left_out
    return {"record": MERGE, "source": difference.source, "events": events, "left_out": left_out}


def without(events: Sequence[PastEvent], dropped: Collection[str]) -> list[PastEvent]:
    """`events` without those in `dropped` and without all that comes after one of these."""
    gone = set(dropped)
    kept: list[PastEvent] = []
    for event in events:
        if event.event_id in gone or not gone.isdisjoint(event.parents):
            gone.add(event.event_id)
        else:
            kept.append(event)
    return kept


def clashes(plan: Plan, difference: Difference, sequence: int, rows_max: int) -> Clashes:
    """All that stands in the way of the union, first met by the merge record at `sequence`."""
    ours, theirs = _by_type(plan, difference.ours), _by_type(plan, difference.theirs)
    dependent = sum(
        here * there
        for one, here in ours.items()
        for other, there in theirs.items()
        if plan.dependent[one] >> other & 1
    )
    keys = _keys_alone(plan, difference)
    found = _rows(plan, difference, sequence, keys) if dependent or keys else iter(())
    return Clashes(tuple(islice(found, rows_max)), dependent + len(keys))


def _by_type(plan: Plan, events: Sequence[PastEvent]) -> Counter[int]:
    return Counter(plan.step_index[event.step] for event in events)


def _keys_alone(plan: Plan, difference: Difference) -> frozenset[str]:
    """Step keys that both sides used for different events of independent types."""
    ours = {event.step_key: event for event in difference.ours}
    return frozenset(
        event.step_key
        for event in difference.theirs
        if (twin := ours.get(event.step_key)) is not None and not _dependent(plan, twin, event)
    )


def _dependent(plan: Plan, one: PastEvent, other: PastEvent) -> bool:
    return bool(plan.dependent[plan.step_index[one.step]] >> plan.step_index[other.step] & 1)


def _rows(plan: Plan, difference: Difference, sequence: int, keys: frozenset[str]) -> Iterator[ObstructionRow]:
    for ours, theirs in _pairs(plan, difference, keys):
        if _dependent(plan, ours, theirs):
            yield from _of_pair(plan, difference, sequence, ours, theirs)
        else:
            yield _row(difference, sequence, Disagreement.STEP_KEY, ours, theirs, witness=(ours.step_key,))


def _pairs(plan: Plan, difference: Difference, keys: frozenset[str]) -> Iterator[tuple[PastEvent, PastEvent]]:
    """The pairs that stand in the way, in the order of ours and, for each, of theirs.

    Only these are walked: two sides of thousands of events may have one such pair.
    """
    theirs = difference.theirs
    twins = {event.step_key: place for place, event in enumerate(theirs) if event.step_key in keys}
    facing: dict[str, list[int]] = {}
    for ours in difference.ours:
        if ours.step not in facing:
            facing[ours.step] = [place for place, event in enumerate(theirs) if _dependent(plan, ours, event)]
        places, twin = facing[ours.step], twins.get(ours.step_key)
        for place in places if twin is None else sorted([*places, twin]):
            yield ours, theirs[place]


def _of_pair(
    plan: Plan, difference: Difference, sequence: int, ours: PastEvent, theirs: PastEvent
) -> Iterator[ObstructionRow]:
    """The `once` fields on which two dependent events differ, or that they are dependent and why."""
    witness = _reasons(plan, ours.step, theirs.step)
    here, there = dict(ours.contributions), dict(theirs.contributions)
    differ = sorted(
        name
        for name in here.keys() & there.keys()
        if plan.fields[name].reducer is Reducer.ONCE and here[name] != there[name]
    )
    for name in differ:
        values = here[name], there[name]
        yield _row(difference, sequence, Disagreement.ONCE, ours, theirs, name, witness=witness, values=values)
    if not differ:
        yield _row(difference, sequence, Disagreement.DEPENDENT, ours, theirs, witness=witness)


def _row(
    difference: Difference,
    sequence: int,
    disagreement: Disagreement,
    ours: PastEvent,
    theirs: PastEvent,
    field: str = "",
    *,
    witness: Sequence[object],
    values: tuple[str, str] = ("", ""),
) -> ObstructionRow:
    target, source = difference.target, difference.source
    events = hash_of(ours.event_id), hash_of(theirs.event_id)
    identity = digest("obstruction", target, source, disagreement, field, *events)
    sides = [
        orjson.dumps({"events": [event.event_id], "value": value}).decode()
        for event, value in zip((ours, theirs), values, strict=True)
    ]
    why = orjson.dumps(list(witness)).decode()
    return ObstructionRow(identity, target, source, sequence, disagreement, field, why, *sides)


@lru_cache(maxsize=4096)
def _reasons(plan: Plan, one: str, other: str) -> tuple[object, ...]:
    """Why two step types are dependent, as JSON values."""
    if one == other:
        return ({"rule": "same_step", "witness": one, "sentence": "two events of one step are always ordered"},)
    prints = [footprint_of(plan, plan.step_index[name]) for name in (one, other)]
    found = [
        {"rule": str(reason.rule), "witness": reason.witness, "sentence": reason.sentence}
        for reason in reasons(*prints) or [Reason(Rule.DECLARED, one, other)]
    ]
    return tuple(found)
