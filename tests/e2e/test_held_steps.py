"""Goal: on a real node a step that comes too early is held, told so, and released by the node itself. Method: a node
with its own stream and store; steps through its interface, their outcomes awaited."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from relmachine.hosts import sweep
from relmachine.kernel.verdicts import Refused
from relmachine.node.node import Node
from relmachine.node.settings import Settings
from relmachine.observe.answers import StepCommitted, StepHeld, StepRefused
from relmachine.observe.publishing import outcome_of, settled_of, submit_one
from relmachine.store.verify import verify
from tests.unit.held.desk import machine

pytestmark = pytest.mark.process

SECONDS = 20.0


def event(key: str, step: str, **data: object) -> bytes:
    return orjson.dumps({"specversion": "1.0", "id": key, "source": "test", "type": step, "data": data})


def test_a_node_holds_releases_and_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.05)
    made = machine()
    made.declaration.steps["grant"] = replace(made.declaration.steps["grant"], hold_seconds=0.2)

    async def run() -> None:
        async with Node.running(made, Settings(data_dir=tmp_path, http=False)) as node:

            async def publish(body: bytes, seconds: float) -> object:
                async def given() -> bytes:
                    return body

                accepted = await submit_one(node, "t", given)
                assert not isinstance(accepted, StepRefused)
                return await settled_of(node, accepted, seconds)

            held = await publish(event("1", "check", who="ann"), 0.5)
            assert isinstance(held, StepHeld) and held.missing == ["received"]
            again = await publish(event("1", "check", who="ann"), 0.5)
            assert isinstance(again, StepHeld) and (again.sequence, again.repeated) == (held.sequence, True)
            assert isinstance(await publish(event("2", "receive"), SECONDS), StepCommitted)
            found = await _ended(node, held.sequence)
            assert isinstance(found, StepCommitted) and found.sequence > held.sequence

            refused = await publish(event("3", "grant"), SECONDS)
            assert isinstance(refused, StepRefused) and refused.code == "held_too_long"

            (no,) = await node.submit("t", [event("4", "_release", held=held.sequence)])
            assert isinstance(no, Refused) and no.refusal.code == "held_unknown"
            own = {"specversion": "1.0", "id": "e/0", "source": "relm:follow-up", "type": "receive", "data": {}}
            (no,) = await node.submit("t", [orjson.dumps(own)])
            assert isinstance(no, Refused) and no.refusal.code == "envelope_invalid"
            report = await verify(node.store)
            assert report.ok, report.fault

    asyncio.run(run())


async def _ended(node: Node, sequence: int) -> object:
    """What became of the step once it is not held any more."""
    async with asyncio.timeout(SECONDS):
        while isinstance(found := await outcome_of(node, "t", sequence, 0.2), StepHeld):
            pass
    return found
