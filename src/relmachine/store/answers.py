"""Answers to runs, put together from their rows: exactly what the record on the stream said."""

from __future__ import annotations

from typing import cast

from relmachine.kernel.answer import Answer, Decision, Pass
from relmachine.store import tables
from relmachine.store.points import table_rows
from relmachine.store.port import Reads

_ANSWERED_AT = "thread = ? AND at_seq = ?"
_ATTEMPT = "thread = ? AND seq = ? AND attempt = ?"
_FROZEN = "frozen_digest = ?"


async def answer_at(store: Reads, thread: str, sequence: int) -> Answer | None:
    """The answer that came at this stream sequence; None when none did that counted."""
    rows = await table_rows(store, tables.RUN_ANSWERS, _ANSWERED_AT, thread, sequence)
    if not rows:
        return None
    _, request, attempt, _, _, frozen, said = rows[0]
    plans = await table_rows(store, tables.FROZEN_PLANS, _FROZEN, frozen)
    decisions = await table_rows(store, tables.DECISIONS, _ATTEMPT, thread, request, attempt)
    passes = await table_rows(store, tables.ITERATIONS, _ATTEMPT, thread, request, attempt)
    names, of_pass = tables.DECISIONS.columns[4:], tables.ITERATIONS.columns[3:]
    return Answer.model_validate_json(cast(str, said)).model_copy(
        update={
            "plan": cast(str, plans[0][1]) if plans else "",
            "decisions": tuple(
                Decision.model_validate(dict(zip(names, row[4:], strict=True))) for row in sorted(decisions)
            ),
            "passes": tuple(Pass.model_validate(dict(zip(of_pass, row[3:], strict=True))) for row in sorted(passes)),
        }
    )
