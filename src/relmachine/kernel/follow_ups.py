"""What events put on the stream in turn: steps that they propose, and records that release steps which waited."""

from __future__ import annotations

import orjson

from relmachine.algebra.identity import hash_of
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.control import RELEASE

FOLLOW_UP_SOURCE = "relm:follow-up"
"""CloudEvents source of steps that other steps proposed."""

RELEASE_SOURCE = "relm:held"
"""CloudEvents source of the records by which steps that are held are decided again."""


def follow_up_body(cause: Candidate, event: str, place: int, step: str, data: str, following: int) -> dict[str, object]:
    """The envelope of the step that `event`, made of `cause`, proposes as its number `place`; `data` is JSON text, and
    `following` steps may follow from it.

    Its key follows from the event, so it is one step however often it is published; its principal is the cause's.
    """
    body: dict[str, object] = {
        "specversion": "1.0",
        "id": f"{hash_of(event)}/{place}",
        "source": FOLLOW_UP_SOURCE,
        "type": step,
        "subject": cause.thread,
        "data": orjson.loads(data),
        "principal": cause.principal,
        "hops": cause.hops + 1,
        "following": following,
    }
    return body if cause.traceparent is None else {**body, "traceparent": cause.traceparent}


def release_body(cause: Candidate, event: str, held: int) -> dict[str, object]:
    """The envelope of the record by which the step held at `held` is decided again: `event`, made of `cause`, made
    effective what it waits for. Its key follows from both, so it is one record however often it is published.
    """
    body: dict[str, object] = {
        "specversion": "1.0",
        "id": f"{hash_of(event)}/{held}",
        "source": RELEASE_SOURCE,
        "type": RELEASE,
        "subject": cause.thread,
        "data": {"held": held},
        "principal": cause.principal,
    }
    return body if cause.traceparent is None else {**body, "traceparent": cause.traceparent}
