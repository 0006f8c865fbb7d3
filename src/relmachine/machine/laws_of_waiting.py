"""Laws about what may wait, and for how long: steps that are held until what they need is effective."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from relmachine.machine.declaration import Declaration, OnMissing, StepDeclaration
from relmachine.machine.report import Finding

HOLD_SECONDS_MAX = 30 * 86_400.0
"""Longest time for which a step may be held."""


def deferral_sound(declaration: Declaration) -> Iterator[Finding]:
    """A step that defers needs something, runs inside its turn, and is held for a time."""
    for step in declaration.steps.values():
        if step.on_missing not in get_args(OnMissing):
            sentence = f"step {step.name!r}: `on_missing` is one of {', '.join(get_args(OnMissing))}"
            yield Finding(sentence, {"step": step.name, "on_missing": step.on_missing})
        if step.on_missing == "defer":
            yield from _deferring(declaration, step)
        if step.hold_seconds is not None:
            yield from _time(step, step.hold_seconds)


def _deferring(declaration: Declaration, step: StepDeclaration) -> Iterator[Finding]:
    if step.run is not None:
        sentence = (
            f"step {step.name!r} runs outside its turn, and such a step cannot defer: leave `on_missing` out, and let "
            "a step before it defer that proposes it"
        )
        yield Finding(sentence, {"step": step.name})
    rests = any(declaration.claims[name].requires for name in step.asserts if name in declaration.claims)
    if not rests and declaration.claims.keys().isdisjoint(step.reads):
        sentence = f"step {step.name!r} needs no claim, so nothing can be missing: leave `on_missing` out"
        yield Finding(sentence, {"step": step.name})


def _time(step: StepDeclaration, seconds: float) -> Iterator[Finding]:
    if step.on_missing != "defer":
        sentence = f"step {step.name!r} is never held: leave `hold_seconds` out, or let it defer"
        yield Finding(sentence, {"step": step.name, "hold_seconds": seconds})
    if not 0 < seconds <= HOLD_SECONDS_MAX:
        sentence = f"step {step.name!r}: hold it for more than 0 and at most {HOLD_SECONDS_MAX:.0f} seconds"
        yield Finding(sentence, {"step": step.name, "hold_seconds": str(seconds)})
