"""Bounds of asking a model, in one place. Bytes, counts and seconds as the names say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class ModelBounds:
    """How often and how long a model is asked, and when it is left alone.

    The n-th repetition of a request waits `backoff_seconds` doubled n times, at most `backoff_seconds_max`, and of that
    between the half and all; a server that asks for more patience gets it, up to `retry_after_seconds_max`.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    attempts_max: int = 4
    request_seconds_max: float = 120.0
    connect_seconds_max: float = 5.0
    answer_bytes_max: int = 4 * 1024 * 1024
    backoff_seconds: float = 0.5
    backoff_seconds_max: float = 8.0
    retry_after_seconds_max: float = 30.0
    failures_in_a_row_max: int = 8
    rest_seconds: float = 30.0
    requests_in_flight_max: int = 32
