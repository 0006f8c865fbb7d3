"""Goal: only what passes by itself is asked again, after a pause that grows and is bounded. Method: errors as adapters
raise them, one by one.
"""

from __future__ import annotations

import pytest
from pydantic_ai.exceptions import (
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)

from relmachine.engine.models.bounds import ModelBounds
from relmachine.engine.models.http import AnswerRefusedError
from relmachine.engine.models.patience import passes, pause, unwell


def http(status: int, hint: str | None = None) -> ModelHTTPError:
    return ModelHTTPError(status, "m", headers=None if hint is None else {"x-should-retry": hint})


def wrapped() -> ModelConnectionError:
    error = ModelConnectionError("m", "the client makes this of whatever its transport raises")
    error.__cause__ = AnswerRefusedError("too long")
    return error


@pytest.mark.parametrize(
    ("error", "again", "ill"),
    [
        (http(500), True, True),
        (http(500, "false"), False, False),
        (http(400), False, False),
        (http(400, "true"), True, True),
        (ModelHTTPError.for_category(ModelQuotaExceededError, status_code=429, model_name="m"), False, False),
        (ModelConnectionError("m", "refused"), True, True),
        (wrapped(), False, False),
        (ModelUnavailableError("m", "without HTTP"), True, True),
        (TimeoutError(), True, True),
        (UnexpectedModelBehavior("garbage"), False, True),
        (ZeroDivisionError(), False, True),
    ],
    ids=str,
)
def test_what_is_asked_again_and_what_counts_as_a_failure_of_the_model(
    error: Exception, again: bool, ill: bool
) -> None:
    assert (passes(error), unwell(error)) == (again, ill)


def test_pauses_grow_up_to_a_bound_and_differ_by_half() -> None:
    bounds = ModelBounds(backoff_seconds=1.0, backoff_seconds_max=5.0)
    assert [pause(TimeoutError(), attempts, bounds, 1.0) for attempts in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]
    assert pause(TimeoutError(), 1, bounds, 0.0) == 0.5
