"""Verification of the control lane: what threads were told, again, and nothing after a thread was stopped.

The walk over the threads looks whether their epochs and pauses are those that the effects give; here it is looked
whether the effects are those that the records give, and where each is said to have taken hold.
"""

from __future__ import annotations

from collections import Counter
from typing import cast

import orjson
from pydantic import ValidationError

from relmachine.kernel.lane import LANE, Effect
from relmachine.kernel.state import initial_state
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Plan
from relmachine.store.points import pages
from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, reason, shown
from relmachine.store.verify.foretold import check_foretold
from relmachine.store.verify.rows import BEFORE_ALL
from relmachine.store.verify.stops import check_stops

_EFFECTS = f"""
SELECT {", ".join(Effect._fields)} FROM control_effects
WHERE (thread, control_seq) > (?, ?) ORDER BY thread, control_seq LIMIT 500
"""
# A repetition of nothing.
_REPEATED = """
SELECT e.thread, e.control_seq, e.step_key FROM control_effects e
WHERE e.outcome = 'repeated' AND NOT EXISTS (SELECT 1 FROM control_effects f
  WHERE f.thread = e.thread AND f.step_key = e.step_key AND f.control_seq <> e.control_seq
    AND f.outcome <> 'repeated' AND (f.record, f.payload) IS (e.record, e.payload)) LIMIT 1
"""
_TWICE = "SELECT thread, max(control_seq), record FROM thread_stops GROUP BY thread, record HAVING count(*) > 1 LIMIT 1"
# Each fence raises the epoch by one; what came between has the epoch of the fence before.
_EPOCHS = """
SELECT thread, control_seq, epoch, most FROM (
  SELECT e.thread, e.control_seq, e.epoch, p.control_seq IS NOT NULL AS fence,
    (SELECT count(*) FROM thread_fences s WHERE s.thread = e.thread AND s.at_seq < e.at_seq) AS least,
    (SELECT count(*) FROM thread_fences s WHERE s.thread = e.thread AND s.at_seq <= e.at_seq) AS most,
    (SELECT count(*) FROM thread_fences s WHERE s.thread = e.thread AND s.epoch <= e.epoch) AS rank
  FROM control_effects e LEFT JOIN thread_fences p ON p.thread = e.thread AND p.control_seq = e.control_seq)
WHERE epoch NOT BETWEEN least AND most OR (fence AND rank <> epoch) LIMIT 1
"""
# Where an effect is said to be, and its thread's history was not.
_ASTRAY = """
SELECT e.thread, e.control_seq, e.at_head, c.to_head FROM control_effects e
LEFT JOIN commits c ON c.thread = e.thread AND c.to_seq = e.at_seq
WHERE e.at_seq > 0 AND c.to_head IS NOT e.at_head LIMIT 1
"""
# The message as the trigger writes it, which has to be the one that waits.
_MESSAGES = """
SELECT o.thread, o.seq, o.body, json_object('thread', e.thread, 'control', json_object('sequence', e.control_seq,
    'record', e.record, 'key', e.step_key, 'outcome', e.outcome, 'at_sequence', e.at_seq, 'at_history', e.at_head,
    'epoch', e.epoch, 'payload', json(iif(e.payload = '', 'null', e.payload)), 'evidence', json(e.evidence),
    'refusal', json(iif(e.refusal = '', 'null', e.refusal))))
FROM outbox o LEFT JOIN control_effects e ON e.thread = o.thread AND e.control_seq = o.body ->> '$.control.sequence'
  AND o.seq BETWEEN 1 AND (SELECT count(*) FROM control_effects n WHERE n.thread = o.thread)
WHERE o.kind = 'effect' AND (o.thread, o.seq) > (?, ?) ORDER BY o.thread, o.seq LIMIT 500
"""


async def check_lane(store: Reads, plan: Plan, counts: Counter[str]) -> Fault | None:
    """The first effect that its record does not give, the first commit after a stop, the first strange message."""
    return (
        await _check_effects(store, plan, counts)
        or await _check_order(store)
        or await check_stops(store)
        or await _check_messages(store, counts)
        or await check_foretold(store, counts)
    )


async def _check_effects(store: Reads, plan: Plan, counts: Counter[str]) -> Fault | None:
    async for page in pages(store, _EFFECTS, (), ("", BEFORE_ALL)):
        for row in page.rows:
            fault = _misshapen(plan, Effect(*row))  # pyright: ignore[reportArgumentType]
            if fault is not None:
                return fault
            counts["control_effects"] += 1
    return None


async def _check_order(store: Reads) -> Fault | None:
    """What effects say of each other, and of the commits around them."""
    for thread, sequence, key in (await store.select(_REPEATED)).rows:
        return _fault(thread, sequence, "control_effects.outcome: a repetition of nothing", key, "")
    for thread, sequence, record in (await store.select(_TWICE)).rows:
        return _fault(thread, sequence, "control_effects.outcome: a thread stopped twice", record, "unchanged")
    for question, differs in ((_EPOCHS, "control_effects.epoch"), (_ASTRAY, "control_effects.at_head")):
        for thread, sequence, stored, computed in (await store.select(question)).rows:
            return _fault(thread, sequence, differs, stored, computed)
    return None


async def _check_messages(store: Reads, counts: Counter[str]) -> Fault | None:
    async for page in pages(store, _MESSAGES, (), ("", BEFORE_ALL)):
        for thread, sequence, stored, computed in page.rows:
            if stored != computed:
                return _fault(thread, sequence, "outbox.body of effect", stored, computed)
            counts["outbox"] += 1
    return None


def _misshapen(plan: Plan, effect: Effect) -> Fault | None:
    """What is wrong with an effect by itself: no gate would have let its record pass, or its thread never was there."""
    genesis = initial_state(plan, effect.thread).head
    if effect.at_seq == 0 and effect.at_head not in ("", genesis):
        return _fault(effect.thread, effect.control_seq, "control_effects.at_head", effect.at_head, genesis)
    texts = (("payload", canonical_text), ("evidence", _text), ("refusal", _text))
    for column, again in texts:
        stored: str = getattr(effect, column)
        if stored and again(orjson.loads(stored)) != stored:
            return _fault(effect.thread, effect.control_seq, f"control_effects.{column}: no canonical JSON", stored, "")
    if effect.outcome == "refused":
        return None
    try:
        LANE[effect.record].model_validate_json(effect.payload)
    except (KeyError, ValidationError) as error:
        return _fault(effect.thread, effect.control_seq, "control_effects.payload", effect.payload, reason(error))
    return None


def _text(value: object) -> str:
    return orjson.dumps(value).decode()


def _fault(thread: object, sequence: object, differs: str, stored: object, computed: object) -> Fault:
    return Fault(cast(str, thread), cast(int, sequence), "", differs, shown(stored), shown(computed))
