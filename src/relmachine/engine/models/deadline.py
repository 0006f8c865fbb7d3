"""When the one who asks a model gives up, told to whatever waits on the way."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_at: ContextVar[float | None] = ContextVar("give_up_at", default=None)


@contextmanager
def give_up_at(seconds: float) -> Generator[None]:
    """Within, no request is repeated that would begin after `seconds` on the clock of `Models`.

    A pause that outlasts the run helps nobody: its end comes at once, and a fallback may still be asked.
    """
    token = _at.set(seconds)
    try:
        yield
    finally:
        _at.reset(token)


def beyond(seconds: float) -> bool:
    """Whether `seconds` is later than the asking task gives up."""
    at = _at.get()
    return at is not None and seconds > at
