"""The closure that answers where models do not: a plain function, declared beside the agent.

That it stands in, and for what, is a decision of the run: a playback comes to the same without asking anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import cast

from relmachine.engine.outputs import Taken, taken
from relmachine.engine.runs.ended import End, RunEnded
from relmachine.engine.runs.running import Running
from relmachine.engine.runs.threads import Raised, in_thread
from relmachine.engine.words import said
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Reason

FALLBACK = "fallback"
"""Name of the `time` decision with which the closure stands in; its error is that which ended the agent."""

LATE = "fallback_late"
"""Name of the one after it, when the closure took more than its share of the wall seconds."""

_SENTENCE_CHARACTERS = 400
_REASONS = frozenset((Reason.BUDGET, Reason.CAP, Reason.NO_PROGRESS))
_CODES = frozenset((Code.MODEL_FAILED, Code.MODEL_UNBOUND, Code.RUN_FAILED))


def stands_in(running: Running, end: End) -> bool:
    """Whether the run has a fallback closure, and ended for something that it is there for: a budget, or models."""
    return running.plan.fallback_closure is not None and (end.reason in _REASONS or end.code in _CODES)


async def answer_instead(running: Running, end: End) -> Taken | None:
    """What the closure gives in place of the agent, whose own proposals do not count; None when it gives nothing.

    Then the run has ended as it had, or because the record has it otherwise; its recorder says.
    """
    recorder = running.recorder
    try:
        await recorder.note(FALLBACK, f"{end.code}: {end.sentence[:_SENTENCE_CHARACTERS]}")
        if not recorder.notes_next(LATE):
            found = await _called(running)
            if not isinstance(found, str):
                return found
            recorder.end = End(end.reason, end.code, f"{end.sentence}; and {found}", end.witness)
            return None
    except TimeoutError:
        pass
    except RunEnded:
        return None
    late = "its fallback closure gave nothing in time"
    recorder.end = End(end.reason, end.code, f"{end.sentence}; and {late}", end.witness)
    with suppress(RunEnded):
        await recorder.note(LATE, f"{end.code}: {late}")
    return None


async def _called(running: Running) -> Taken | str:
    """Contributions and follow-ups, or why there are none. Raises TimeoutError."""
    request = running.request
    closure = cast(Callable[..., object], running.plan.fallback_closure)
    payload = request.step.payload_model.model_validate_json(request.payload)
    work = in_thread(lambda: closure(payload, request.view))
    outcome = await asyncio.wait_for(work, running.shares.closure - monotonic())
    if isinstance(outcome, Raised):
        return f"its fallback closure raised {said(outcome.error)}"
    try:
        return taken(request.plan, request.step, outcome.value)
    except RelmError as error:
        return f"its fallback closure gave what does not fit: {error.sentence}"
