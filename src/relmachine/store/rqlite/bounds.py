"""Bounds of the replicated store's requests, in one place. Bytes, counts and seconds as the names say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RqliteBounds:
    """What one request may be, and how long a caller goes on when the servers do not answer.

    A request carries commits of many threads up to `request_bytes_max`; one thread's commit is never split, so it may
    be larger, up to `commit_bytes_max`. `value_bytes_max` bounds the rows that go to one table in one statement: a
    server gives its lead away over values of many MiB. A copy of the whole store may have `copy_bytes_max`, and stand
    still for `copy_idle_seconds_max`, which is also how long a server may take to get its file ready.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    request_bytes_max: int = 4 * MIB
    commit_bytes_max: int = 16 * MIB
    value_bytes_max: int = 768 * 1024
    answer_bytes_max: int = 64 * MIB
    connections_max: int = 16
    connect_seconds_max: float = 2.0
    attempt_seconds_max: float = 5.0
    retry_seconds_max: float = 30.0
    retry_pause_seconds: float = 0.02
    retry_pause_seconds_max: float = 0.5
    copy_bytes_max: int = 64 * 1024 * MIB
    copy_idle_seconds_max: float = 60.0
