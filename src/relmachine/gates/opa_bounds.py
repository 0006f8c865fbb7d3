"""Bounds of asking an OPA server, in one place. Bytes, counts and seconds as the names say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class OpaBounds:
    """How long a server may take, and what its silence means.

    `answer_seconds_max` runs from when the server took the connection, and only while this process runs itself. A query
    of `questions_max` questions takes the server 0.15 s of CPU: the rest is for a busy machine, because a denial is for
    ever. A batch with more questions makes several queries.
    `silence` is what a query counts as that was taken and not answered in that time: "deny" refuses its steps, "defer"
    fails the turn, which is then taken again. A server that cannot be reached always fails the turn.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    questions_max: int = 1000
    answer_seconds_max: float = 10.0
    answer_bytes_max: int = 1024 * 1024
    connect_seconds_max: float = 1.0
    connections_max: int = 4
    attempts_max: int = 2
    silence: Literal["deny", "defer"] = "deny"
