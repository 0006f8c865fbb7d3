"""Why a claim holds in a thread, or does not: who asserted, contested or vetoed it, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.standing import effective
from relmachine.kernel.standing import settled as settled_mask
from relmachine.machine.plan import ClaimPlan, Plan
from relmachine.store.points import declared, resolve
from relmachine.store.port import Reads

# One row for each claim and way of touching it: the last assert, the last contest, the first veto.
_TOUCHES = """
WITH touched AS (
  SELECT c.claim, c.touch, te.seq, te.place, e.event_id, e.step, te.evidence ->> '$.principal' AS principal,
    row_number() OVER (ORDER BY te.seq, te.place) AS nth
  FROM thread_events te
  JOIN events e ON e.event_id = te.event_id
  JOIN event_claims c ON c.event = e.number
  WHERE te.thread = ? AND c.claim IN (SELECT value FROM json_each(?))
)
SELECT claim, touch, max(nth), seq, place, event_id, step, principal FROM touched
WHERE touch <> 'veto' GROUP BY claim, touch
UNION ALL
SELECT claim, touch, min(nth), seq, place, event_id, step, principal FROM touched WHERE touch = 'veto' GROUP BY claim
"""


class Standing(StrEnum):
    """Where a claim stands in a history."""

    SETTLED = "settled"
    """It holds for good, but for a later dependent contest of it or of what it rests on."""
    EFFECTIVE = "effective"
    """It holds, and may be taken back: its kind is not stable, or something may veto it."""
    UNSUPPORTED = "unsupported"
    """It is asserted, but something it rests on does not hold."""
    CONTESTED = "contested"
    """It was contested after its last assert."""
    VETOED = "vetoed"
    """It was vetoed; it never holds in this history."""
    ABSENT = "absent"
    """No step asserted it."""


@dataclass(frozen=True, slots=True)
class TouchLine:
    """The event that touched a claim, its step, who published it, and its stream sequence."""

    sequence: int
    event: str
    step: str
    principal: str
    place: int = 0
    """Among the events that one fork or merge brought."""


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """One claim: its standing, what it directly rests on, and the events that touched it last."""

    claim: str
    standing: Standing
    requires: tuple[str, ...]
    asserted: TouchLine | None
    contested: TouchLine | None
    vetoed: TouchLine | None


@dataclass(frozen=True, slots=True)
class Why:
    """The answer: the claim itself, and all it rests on, transitively, nearest first; ends what rests on nothing."""

    thread: str
    history: str
    claim: ClaimLine
    rests_on: tuple[ClaimLine, ...]


async def why(store: Reads, thread: str, claim: str) -> Why:
    """Why `claim` holds in `thread`, or does not. Errors: `not_found` for an unknown thread or claim."""
    point = await resolve(store, thread)
    plan = await declared(store)
    if claim not in plan.claim_index:
        sentence = f"machine {plan.machine!r} has no claim {claim!r}: the witness lists those it has"
        raise RelmError(Code.NOT_FOUND, sentence, claim=claim, claims=sorted(plan.claim_index))
    up = plan.claims[plan.claim_index[claim]].up
    touches = await _touches(store, thread, plan.claim_names(up))
    alive = plan.claim_mask(*(name for name in plan.claim_names(up) if _alive(touches.get(name, {}))))
    lines = {name: _line(plan, name, touches.get(name, {}), alive) for name in plan.claim_names(up)}
    below = sorted((name for name in lines if name != claim), key=lambda name: (-_height(plan, name), name))
    return Why(thread, point.history, lines[claim], tuple(lines[name] for name in below))


async def standings(store: Reads, thread: str) -> list[ClaimLine]:
    """How every claim of the machine stands in `thread`, what others rest on first. Errors: `not_found`."""
    await resolve(store, thread)
    plan = await declared(store)
    names = sorted(plan.claim_index, key=lambda name: (_height(plan, name), name))
    touches = await _touches(store, thread, tuple(names))
    alive = plan.claim_mask(*(name for name in names if _alive(touches.get(name, {}))))
    return [_line(plan, name, touches.get(name, {}), alive) for name in names]


def _height(plan: Plan, name: str) -> int:
    return plan.claims[plan.claim_index[name]].up.bit_count()


async def _touches(store: Reads, thread: str, claims: tuple[str, ...]) -> dict[str, dict[str, TouchLine]]:
    found: dict[str, dict[str, TouchLine]] = {}
    rows = (await store.select(_TOUCHES, (thread, orjson.dumps(claims).decode()))).rows
    told = cast("tuple[tuple[str, str, int, int, int, str, str, str], ...]", rows)
    for claim, touch, _, seq, place, event, step, principal in told:
        found.setdefault(claim, {})[touch] = TouchLine(seq, event, step, principal, place)
    return found


def _alive(touches: dict[str, TouchLine]) -> bool:
    asserted, contested = touches.get("assert"), touches.get("contest")
    stands = asserted is not None and (contested is None or _order(contested) < _order(asserted))
    return stands and "veto" not in touches


def _order(touch: TouchLine) -> tuple[int, int]:
    return touch.sequence, touch.place


def _line(plan: Plan, name: str, touches: dict[str, TouchLine], alive: int) -> ClaimLine:
    claim = plan.claims[plan.claim_index[name]]
    return ClaimLine(
        name,
        _standing(plan, claim, touches, alive),
        plan.claim_names(claim.requires),
        touches.get("assert"),
        touches.get("contest"),
        touches.get("veto"),
    )


def _standing(plan: Plan, claim: ClaimPlan, touches: dict[str, TouchLine], alive: int) -> Standing:
    bit = 1 << claim.index
    if "veto" in touches:
        return Standing.VETOED
    if "assert" not in touches:
        return Standing.ABSENT
    if not alive & bit:
        return Standing.CONTESTED
    if settled_mask(plan, alive) & bit:
        return Standing.SETTLED
    return Standing.EFFECTIVE if effective(plan, alive) & bit else Standing.UNSUPPORTED
