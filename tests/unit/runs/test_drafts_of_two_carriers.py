"""Goal: what a durable run has seen is one record, though two carry it out. Method: two attempts made ready at once on
a real store, over a tool that never gives the same twice; one is carried out while the other waits."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest
from pydantic import BaseModel

from relmachine import Machine, Run, Section, View
from relmachine.errors import Code, RelmError
from relmachine.store.runs import Runs
from relmachine.store.sqlite import SqliteStore
from tests.unit.replay.living import Living


class Empty(BaseModel):
    """No members."""


def machine() -> Machine:
    """A durable step that looks twice."""
    made, numbers = Machine("twice"), count()
    made.field("seen", int, reducer="sum")

    @made.tool()
    def look() -> int:
        """The next number."""
        return next(numbers)

    @made.derivation(writes=["seen"], tools=[look], durable=True)
    async def observe(step: Empty, view: View, run: Run) -> Section:
        """Look twice."""
        return Section({"seen": await run.tool("look") + await run.tool("look")})

    return made


@pytest.mark.parametrize("answered", [False, True])
def test_of_two_that_carry_out_an_attempt_one_goes_on(tmp_path: Path, answered: bool) -> None:
    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "store.db", plan)
        try:
            shop = Living(plan, store)
            shop.step("t", "observe")
            await shop.settle()
            asked = Runs(store.deciding)
            (run,) = await asked.open(9)
            one, other = await shop.attempts.prepare(run), await shop.attempts.prepare(run)
            assert one is not None and other is not None
            answer = await one.carry_out()
            assert len(answer.decisions) == 2
            if answered:
                await shop.attempts.publish(run, answer)
                await shop.settle()
            with pytest.raises(RelmError) as left:
                await other.carry_out()
            assert left.value.code is Code.RUN_DIVERGED
            assert await asked.drafts(run) == ([] if answered else list(answer.decisions))
        finally:
            await store.close()

    asyncio.run(work())
