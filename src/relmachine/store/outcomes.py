"""What became of single steps: receipts and rejections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.store.points import pages
from relmachine.store.port import Reads, Receipt

_RECEIPT = "SELECT thread, step_key, step, payload_digest, seq, outcome FROM receipts WHERE thread = ? AND step_key = ?"
_KEY_AT = """
SELECT step_key FROM controls WHERE thread = ?1 AND seq = ?2
UNION ALL SELECT e.step_key FROM thread_events te JOIN events e ON e.event_id = te.event_id
  WHERE te.thread = ?1 AND te.seq = ?2
UNION ALL SELECT step_key FROM rejections WHERE thread = ?1 AND seq = ?2
UNION ALL SELECT step_key FROM runs WHERE thread = ?1 AND seq = ?2
UNION ALL SELECT step_key FROM held WHERE thread = ?1 AND seq = ?2
"""
# A step that runs outside its turn, or is held, has two messages: its own, and the record that ended that.
_ENDED = """
SELECT outcome FROM run_ends WHERE thread = ?1 AND seq = ?2
UNION ALL SELECT outcome FROM run_ends WHERE thread = ?1 AND at_seq = ?2
UNION ALL SELECT outcome FROM held_ends WHERE thread = ?1 AND seq = ?2
UNION ALL SELECT outcome FROM held_ends WHERE thread = ?1 AND at_seq = ?2
"""
_REJECTION = """
SELECT seq, thread, step, step_key, gate, code, sentence, witness, lifecycle FROM rejections
"""
_ALL = f"{_REJECTION} WHERE seq > ? ORDER BY seq LIMIT 1000"
_OF_THREAD = f"{_REJECTION} WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000"
_NEWEST = f"{_REJECTION} WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"
_NEWEST_OF_THREAD = f"{_REJECTION} WHERE thread = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2"
_ONE = f"{_REJECTION} WHERE thread = ? AND seq = ?"
_TRANSITIONS = """
SELECT claim, kind, history_before, history_after FROM transitions WHERE thread = ? AND seq = ? ORDER BY claim
"""
_MISSING = "SELECT missing FROM held WHERE thread = ? AND seq = ?"
_SEQUENCE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused step: who refused it, why, and what to do."""

    sequence: int
    thread: str
    step: str
    step_key: str
    gate: str
    code: str
    sentence: str
    witness: Mapping[str, object]
    lifecycle: str


@dataclass(frozen=True, slots=True)
class TransitionLine:
    """A claim that a step settled or superseded: `kind` is `newly` or `superseded`."""

    claim: str
    kind: str
    history_before: str
    history_after: str


async def rejections(store: Reads, thread: str | None = None) -> list[Rejection]:
    """The refused steps of `thread`, or of all threads, in the order of the stream."""
    sql, parameters = (_ALL, ()) if thread is None else (_OF_THREAD, (thread,))
    found: list[Rejection] = []
    async for page in pages(store, sql, parameters, (0,)):
        found += [_rejection(row) for row in page.rows]
    return found


async def newest_rejections(
    store: Reads, limit: int, thread: str | None = None, before: int | None = None
) -> list[Rejection]:
    """The `limit` steps refused last, of `thread` or of all, before stream sequence `before`; the newest first."""
    until = _SEQUENCE_MAX if before is None else before
    sql, parameters = (_NEWEST, ()) if thread is None else (_NEWEST_OF_THREAD, (thread,))
    return [_rejection(row) for row in (await store.select(sql, (until, limit, *parameters))).rows]


async def rejection(store: Reads, thread: str, sequence: int) -> Rejection:
    """The step of `thread` refused at stream sequence `sequence`. Errors: `not_found`."""
    for row in (await store.select(_ONE, (thread, sequence))).rows:
        return _rejection(row)
    sentence = f"no step was refused at sequence {sequence} of thread {thread!r}: `relm rejected list` shows all"
    raise RelmError(Code.NOT_FOUND, sentence, thread=thread, sequence=sequence)


async def receipt(store: Reads, thread: str, step_key: str) -> Receipt | None:
    """The recorded outcome of a step key; None when the thread has not decided such a step."""
    for row in (await store.select(_RECEIPT, (thread, step_key))).rows:
        return Receipt(*row)  # pyright: ignore[reportArgumentType]
    return None


async def receipt_at(store: Reads, thread: str, sequence: int) -> Receipt | None:
    """The receipt of the step decided at `sequence`.

    None for a step not decided yet, for one that repeats an earlier one, and for one refused without a key of its own.
    """
    for (key,) in (await store.select(_KEY_AT, (thread, sequence))).rows:
        found = await receipt(store, thread, cast(str, key))
        return found if found is not None and found.sequence == sequence else None
    return None


async def outcome_at(store: Reads, thread: str, sequence: int) -> Mapping[str, object] | None:
    """The outcome decided at `sequence`: members as in `receipts.outcome`.

    Of a step that runs outside its turn it is `opened` until its answer is decided, of one that is held `held` until it
    is released, then what became of the step.
    None for a step not decided yet, and for one that repeats an earlier one: the journal tells which.
    """
    for (text,) in (await store.select(_ENDED, (thread, sequence))).rows:
        return cast(dict[str, object], orjson.loads(cast(str, text)))
    found = await receipt_at(store, thread, sequence)
    if found is not None:
        return cast(dict[str, object], orjson.loads(found.outcome))
    for row in (await store.select(_ONE, (thread, sequence))).rows:
        refused = _rejection(row)
        return {
            "outcome": "refused",
            "sequence": sequence,
            "gate": refused.gate,
            "code": refused.code,
            "sentence": refused.sentence,
        }
    return None


async def missing_at(store: Reads, thread: str, sequence: int) -> tuple[str, ...]:
    """The claims that the step held at `sequence` waited for when it came."""
    for (text,) in (await store.select(_MISSING, (thread, sequence))).rows:
        return tuple(cast("list[str]", orjson.loads(cast(str, text))))
    return ()


async def transitions_at(store: Reads, thread: str, sequence: int) -> list[TransitionLine]:
    """What the step committed at `sequence` newly settled or superseded, by claim."""
    rows = (await store.select(_TRANSITIONS, (thread, sequence))).rows
    return [TransitionLine(*row) for row in rows]  # pyright: ignore[reportArgumentType]


def _rejection(row: tuple[object, ...]) -> Rejection:
    sequence, thread, step, step_key, gate, code, sentence, witness, lifecycle = cast(tuple[str, ...], row)
    return Rejection(
        cast(int, sequence), thread, step, step_key, gate, code, sentence, orjson.loads(witness), lifecycle
    )
