"""A store as a node leaves it, made without one: a few steps through gate 1 and the kernel, then committed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from relmachine.errors import Code
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, Decided, GateName, Refusal, Refused
from relmachine.machine.machine import Machine
from relmachine.node.context import Context
from relmachine.store.sqlite import SqliteStore

machine = Machine("desk", version="7")
received = machine.claim("received")
checked = machine.claim("checked", requires=[received])
machine.claim("weighed", requires=[received])
officers = machine.field("officers", str, reducer="union")
machine.step("receive", kind="process", asserts=["received"], writes={"officers": "officer"})
machine.step("check", kind="process", asserts=["checked"], writes={"officers": "officer"})
machine.step("weigh", kind="derivation", asserts=["weighed"], writes={"officers": "officer"})

STEPS = [("receive", "Ann"), ("check", "Bob"), ("weigh", "[red]Cid[/]")]
THREAD = "case%201"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A data folder whose node has ended: three committed steps and a refused one on thread `case 1`."""
    asyncio.run(_write(tmp_path / "store.db"))
    Context(
        machine="desk",
        version="7",
        laws_digest=machine.plan().laws_digest,
        store_path=tmp_path / "store.db",
        nats_url="nats://127.0.0.1:1",
        http_url=None,
        pid=None,
        nats_pid=None,
    ).save(tmp_path)
    return tmp_path


async def _write(path: Path) -> None:
    plan = machine.plan()
    gate = ShapeGate(plan, Limits())
    shaped = [gate.check(_message(number, *step)) for number, step in enumerate([*STEPS, STEPS[0]], start=1)]
    candidates = [item for item in shaped if isinstance(item, Candidate)]
    decided: list[Decided] = [Admitted(candidate, candidate.recorded) for candidate in candidates[:-1]]
    decided.append(
        Refused(candidates[-1], Refusal(Code.POLICY_DENIED, GateName.POLICY, "ask for [the] grant", {"field": "x"}))
    )
    store = SqliteStore.open(path, plan)
    await store.commit([advance(plan, initial_state(plan, THREAD), decided)])
    await store.close()


def _message(sequence: int, step: str, officer: str) -> Message:
    event = {"id": str(sequence), "source": "urn:s", "type": step, "data": {"officer": officer}}
    return Message(sequence, THREAD, step, orjson.dumps(event))
