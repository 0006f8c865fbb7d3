"""What a node is given: a seeded flood of good and bad steps, steps that wait, steps that fail, runs with every end."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from relmachine.kernel.answer import Reason
from relmachine.kernel.envelope import Envelope
from relmachine.stream.port import Outgoing
from tests import permit
from tests.evidence.asking import HANGS, LATE

SEED = 20_261
FLOOD = 1_000

ENDS = {
    Reason.DONE: 60,
    LATE: 20,
    Reason.CAP: 40,
    Reason.FATAL: 40,
    Reason.NO_PROGRESS: 40,
    Reason.BUDGET: 40,
    Reason.OVERTAKEN: 20,
    HANGS: 50,
}
"""Runs by the end that they are to have; those that hang are cancelled."""

HELD = 60
"""Steps that are held until what they need comes, and as many until their time is over."""

FAILED = 40
"""Steps whose closure raises, and as many that gate 2 refuses."""

_messages = count()


def of_the_log() -> Iterator[Outgoing]:
    """Steps of the log in any order on threads of their own; some unreadable, unknown, published again, or under the
    key of another.
    """
    rng = random.Random(SEED)
    steps = [step for case in permit.cases().values() for step in case]
    made: list[Outgoing] = []
    for place in range(FLOOD):
        step, thread = rng.choice(steps), f"flood-{rng.randrange(60)}"
        body = {**json.loads(step.body), "id": f"flood-{place}", "subject": thread}
        one = _outgoing(thread, step.step_token, json.dumps(body).encode())
        match rng.randrange(20):
            case 0:
                one = replace(one, body=b"no json")
            case 1:
                one = _outgoing(thread, "_", json.dumps({**body, "type": "no such step"}).encode())
            case 2 if made:
                one = replace(rng.choice(made), message_id=one.message_id)
            case 3 if made:
                one = replace(one, thread=rng.choice(made).thread, body=_under_key_of(rng.choice(made), body))
            case _:
                pass
        made.append(one)
    yield from made


def _under_key_of(other: Outgoing, body: dict[str, object]) -> bytes:
    taken = other.body.startswith(b"{")
    return json.dumps({**body, "id": json.loads(other.body)["id"]} if taken else body).encode()


def held() -> Iterator[Outgoing]:
    """Steps that come before what they need; half of them wait in vain. Some are published again meanwhile."""
    for number in range(HELD):
        yield step(f"enters-{number}", "enter")
        if number % 4 == 0:
            yield step(f"enters-{number}", "enter")
        yield step(f"enters-{number}", "observe", symptom="slow")
        yield step(f"waits-{number}", "wait")


def failed() -> Iterator[Outgoing]:
    """Steps that gate 2 refuses, and steps that pass all gates and fail."""
    for number in range(FAILED):
        yield step(f"fails-{number}", "sealed")
        yield step(f"fails-{number}", "fail", end="none", thread=f"fails-{number}")


def asked(end: str) -> Iterator[Outgoing]:
    """Runs that are to end so, each on a thread of its own; some are published again while they run, or after."""
    for number in range(ENDS[end]):
        thread = f"{end}-{number}"
        yield step(thread, "observe", symptom="slow")
        yield step(thread, "think", end=end, thread=thread)
        if number % 4 == 0:
            yield step(thread, "think", end=end, thread=thread)


def step(thread: str, name: str, key: str = "", /, **data: object) -> Outgoing:
    """One step, under its thread's and its own name or under that key; published anew each time."""
    envelope = Envelope(id=key or f"{thread}/{name}", source="flood", type=name, data=data, principal="ann")
    return _outgoing(thread, name, envelope.wire())


def _outgoing(thread: str, token: str, body: bytes) -> Outgoing:
    return Outgoing(thread, token, body, f"flood/{next(_messages)}")
