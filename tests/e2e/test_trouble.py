"""Goal: what goes wrong in one thread, or while a node closes, stays there. Method: whole nodes with a closure that
misbehaves, with numbers that no sum can hold, and closed in the middle of their work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.kernel.limits import Limits
from relmachine.node import Node, Settings
from relmachine.store import reading
from relmachine.store.verify import verify
from relmachine.stream.port import Outgoing
from tests import permit

pytestmark = pytest.mark.process


ENDS = {"exit": SystemExit, "cancel": asyncio.CancelledError, "interrupt": KeyboardInterrupt, "close": GeneratorExit}
"""What ends more than a closure, when nobody holds it."""


class Words(BaseModel):
    """Payload."""

    text: str = ""
    amount: float = 0.0


def machine() -> Machine:
    made = Machine("trouble", version="1")
    total = made.field("total", float, reducer="sum")

    @made.process(writes=[total])
    def add(step: Words, view: View) -> Section:
        return Section({"total": step.amount})

    @made.process()
    def speak(step: Words, view: View) -> Section:
        if step.text in ENDS:
            raise ENDS[step.text]()
        raise ValueError(json.loads(step.text))

    return made


def outgoing(thread: str, steps: Sequence[tuple[str, dict[str, object]]]) -> list[Outgoing]:
    return [
        Outgoing(
            thread,
            name,
            json.dumps(
                {"specversion": "1.0", "id": f"{thread}/{place}", "source": "s", "type": name, "data": data}
            ).encode(),
            f"{thread}/{place}",
        )
        for place, (name, data) in enumerate(steps)
    ]


@pytest.mark.parametrize("text", [*ENDS, '"\\ud800"', '"plain"'])
def test_a_closure_that_misbehaves_is_a_refusal(text: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with Node.running(machine(), Settings(data_dir=tmp_path, http=False)) as node:
            steps = outgoing("bad", [("speak", {"text": text}), ("add", {"amount": 1.0})])
            steps += outgoing("good", [("add", {"amount": 2.0})])
            published = await node.stream.publisher.publish(steps)
            outcomes = [
                await node.outcome(step.thread, answer.sequence, 20)
                for step, answer in zip(steps, published, strict=True)
            ]
            assert [outcome and outcome["outcome"] for outcome in outcomes] == ["refused", "committed", "committed"]
            assert outcomes[0] is not None
            assert outcomes[0]["code"] == "closure_failed"

    asyncio.run(work())


def test_numbers_that_no_sum_can_hold_stop_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        limits = Limits(section_snapshot_every=10)
        async with Node.running(machine(), Settings(data_dir=tmp_path, http=False, limits=limits)) as node:
            steps = outgoing("huge", [("add", {"amount": 1e308})] * 50) + outgoing("good", [("add", {"amount": 2.0})])
            published = await node.stream.publisher.publish(steps)
            for thread, sequence in (("huge", published[49].sequence), ("good", published[50].sequence)):
                outcome = await node.outcome(thread, sequence, 20)
                assert outcome is not None
                assert outcome["outcome"] == "committed"
            assert node.status()["threads_parked"] == 0
            for settled_only in (False, True):
                section = await reading.section(node.store, "huge", settled_only=settled_only)
                assert section.fields == {"total": "5e+309"}
            report = await verify(node.store)
            assert report.ok, report.fault

    asyncio.run(work())


def test_closing_in_the_middle_of_the_work_ends_and_loses_nothing(tmp_path: Path) -> None:
    steps = [
        Outgoing(thread, step.step_token, step.body, f"{thread}/{place}")
        for thread, found in permit.cases().items()
        for place, step in enumerate(found)
    ]

    async def life(publish: bool) -> int:
        async with asyncio.timeout(60), Node.running(permit.machine(), Settings(data_dir=tmp_path, http=False)) as node:
            if publish:
                await node.stream.publisher.publish(steps)
            async with asyncio.timeout(40):
                while (decided := sum(vars_of(await reading.totals(node.store)))) < (  # noqa: ASYNC110 - a store has no bell
                    500 if publish else len(steps)
                ):
                    await asyncio.sleep(0.02)
            return decided

    assert asyncio.run(life(publish=True)) < len(steps), "the node was done before it closed"
    assert asyncio.run(life(publish=False)) == len(steps)


def vars_of(totals: reading.Totals) -> tuple[int, int]:
    return totals.committed, totals.rejected
