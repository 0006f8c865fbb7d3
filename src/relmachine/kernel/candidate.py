"""A message of a thread as it was read, and the step that gate 1 understood it to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import orjson

from relmachine.kernel.envelope import ANONYMOUS, FOLLOWING_MAX

UNKNOWN_STEP_TOKEN = "_"
"""Subject token of an activity that no step of the machine stands for."""

Contributions = tuple[tuple[str, str], ...]
"""(field, canonical JSON of the value) pairs, by field."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a thread's subject as read: tokens of `relm.<machine>.step.<thread>.<step>` and the body."""

    sequence: int
    thread: str
    step_token: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A step as gate 1 understood it.

    `sequence` is its stream sequence. `payload` is the canonical JSON of the validated payload (of the raw data where
    gate 1 refused it, empty where there was none); `recorded` are the contributions that the payload itself makes, as
    (field, canonical JSON), by field. `principal`, `time`, `traceparent`, `hops` and `following` are evidence, not
    identity.
    """

    sequence: int
    thread: str
    step: str
    step_key: str
    payload: str
    payload_digest: str
    recorded: Contributions = ()
    principal: str = ANONYMOUS
    time: str | None = None
    traceparent: str | None = None
    hops: int = 0
    following: int = FOLLOWING_MAX

    def evidence(self) -> str:
        """Who, when, which trace, how far from the first step, how many may follow, as JSON; what is not known, or not
        bounded further, is left out.
        """
        found: dict[str, object] = {"principal": self.principal}
        if self.time is not None:
            found["time"] = self.time
        if self.traceparent is not None:
            found["traceparent"] = self.traceparent
        if self.hops:
            found["hops"] = self.hops
        if self.following != FOLLOWING_MAX:
            found["following"] = self.following
        return orjson.dumps(found).decode()

    def known(self, evidence: str) -> Candidate:
        """The candidate with what `evidence`, as written by `evidence()`, says of it."""
        found = cast(dict[str, object], orjson.loads(evidence))
        return replace(
            self,
            principal=cast(str, found.get("principal", ANONYMOUS)),
            time=cast("str | None", found.get("time")),
            traceparent=cast("str | None", found.get("traceparent")),
            hops=cast(int, found.get("hops", 0)),
            following=cast(int, found.get("following", FOLLOWING_MAX)),
        )
