"""Which failures of a model pass by themselves, and how long to wait for that."""

from __future__ import annotations

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
)

from relmachine.engine.models.bounds import ModelBounds
from relmachine.engine.models.http import AnswerRefusedError

PASSING_STATUSES = frozenset((408, 409, 429))
"""HTTP statuses below 500 that may differ the next time."""

_PASSING = (
    ModelConnectionError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
    TimeoutError,
)


def passes(error: Exception) -> bool:
    """Whether the same request may well succeed a little later. A server that says so itself is believed."""
    if refused_by_us(error) or isinstance(error, ModelQuotaExceededError):
        return False
    if isinstance(error, ModelHTTPError):
        told = error.provider_retry_hint
        return (error.status_code in PASSING_STATUSES or error.status_code >= 500) if told is None else told
    return isinstance(error, _PASSING)


def unwell(error: Exception) -> bool:
    """Whether the error tells of a model that does not work, rather than of a request that it refused."""
    if isinstance(error, ModelHTTPError):
        return passes(error)
    return not refused_by_us(error)


def refused_by_us(error: BaseException) -> bool:
    """Whether an answer came that was not taken whole; clients wrap what says so in errors of their own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, AnswerRefusedError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def pause(error: Exception, attempts: int, bounds: ModelBounds, jitter: float) -> float | None:
    """Seconds to wait after failed attempt number `attempts`; None when the server asks for more than is granted.

    `jitter` is between 0 and 1; it keeps those who failed together from coming back together.
    """
    asked = error.retry_after if isinstance(error, ModelAPIError) else None
    if asked is not None:
        return asked if asked <= bounds.retry_after_seconds_max else None
    longest = min(bounds.backoff_seconds_max, bounds.backoff_seconds * 2 ** (attempts - 1))
    return longest * (0.5 + jitter / 2)
