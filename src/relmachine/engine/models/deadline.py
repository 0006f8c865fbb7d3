"""When the one who asks a model gives up, told to whatever waits on the way."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_at: ContextVar[float | None] = ContextVar("give_up_at", default=None)
_cuts: ContextVar[bool] = ContextVar("cuts", default=False)

_EARLIER = 0.95
"""Part of what is left after which a request is cut off: before its task is, so that it counts as one that failed."""


@contextmanager
def give_up_at(seconds: float, *, cuts: bool = False) -> Generator[None]:
    """Within, no request is repeated that would begin after `seconds` on the clock of `Models`; and where that `cuts`,
    none takes longer.

    A pause that outlasts the run helps nobody: its end comes at once, and a fallback may still be asked.
    """
    token, cut = _at.set(seconds), _cuts.set(cuts)
    try:
        yield
    finally:
        _at.reset(token)
        _cuts.reset(cut)


def beyond(seconds: float) -> bool:
    """Whether `seconds` is later than the asking task gives up."""
    at = _at.get()
    return at is not None and seconds > at


def at_most(seconds: float, now: float) -> float:
    """`seconds`, or less when the asking task cuts off before."""
    at = _at.get()
    return seconds if at is None or not _cuts.get() else min(seconds, max(0.0, (at - now) * _EARLIER))
