"""A step that the machine does not have: which ones it has that are meant, perhaps, and how an activity gets one."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan

NEAREST_MAX = 3
LISTED_MAX = 12
"""Steps that are all named where none is near."""

_REMEMBERED = 4096


def unknown_step(plan: Plan, name: str, *, activity: bool) -> RelmError:
    """The error for a step or, with `activity`, for an activity of a log that no step stands for."""
    near = _nearest(tuple(step.name for step in plan.steps), name)
    said = f"machine {plan.machine!r} has no step {name!r}; {_offer(plan, near)}: use one of them, or "
    shown = {"nearest": list(near)} if near else {}
    if activity:
        sentence = f"{said}map the activity of a log to one in the machine's ingest.xes.names"
        return RelmError(Code.UNKNOWN_STEP, sentence, activity=name, **shown)
    return RelmError(Code.UNKNOWN_STEP, f"{said}declare this one", step=name, **shown)


def _offer(plan: Plan, near: tuple[str, ...]) -> str:
    if near:
        return f"the nearest: {', '.join(near)}"
    names = [step.name for step in plan.steps]
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return f"its steps: {', '.join(names[:LISTED_MAX])}{more}"


@lru_cache(maxsize=_REMEMBERED)
def _nearest(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Names of steps that `name` may be a slip of, the nearest first. Remembered: a log repeats its activities."""
    return tuple(get_close_matches(name.lower(), names, NEAREST_MAX, cutoff=0.6))
