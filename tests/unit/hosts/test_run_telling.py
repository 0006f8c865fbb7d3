"""Goal: whoever watches sees a run open, pass by pass, and end; nothing is told twice, and a run that is cancelled
answers with the passes that it made. Method: turns and attempts without a stream, with a telemetry that keeps what it
is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from relmachine import Machine, View
from relmachine.hosts.telemetry import Telemetry
from relmachine.kernel.answer import Reason
from relmachine.store.runs import Runs
from relmachine.store.sqlite import SqliteStore
from tests.unit.replay.living import Living

DEADLINE_SECONDS = 20


class Empty(BaseModel):
    """No members."""


class Cause(BaseModel):
    cause: str


@dataclass
class Model:
    """Looks once, then hangs, or answers when it is `released`."""

    asked: int = 0
    second: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        if len(messages) == 1:
            return ModelResponse([ToolCallPart("look", {})])
        self.second.set()
        await self.released.wait()
        return ModelResponse([ToolCallPart("final_result", {"cause": "disk"})])


def machine(model: Model) -> Machine:
    made = Machine("telling")
    made.field("cause", str, reducer="union")

    @made.tool()
    def look() -> str:
        """Look."""
        return "slow"

    @made.derivation(output=Cause, writes={"cause": "cause"}, tools=[look])
    def propose(step: Empty, view: View) -> str:
        return "What is it?"

    made.model("default", FunctionModel(model.respond))
    return made


def told(telemetry: Telemetry) -> list[tuple[str, dict[str, Any]]]:
    """What waits to be sent."""
    return [(str(one.kind), dict(one.facts)) for one in telemetry._waiting]  # pyright: ignore[reportPrivateUsage]


def scene(folder: Path, work: Callable[[Living, Model, Telemetry], Awaitable[None]]) -> None:
    async def run() -> None:
        model = Model()
        plan = machine(model).plan()
        store = SqliteStore.open(folder / "store.db", plan)
        telemetry = Telemetry(cast(Any, None), cast(Any, None), 100)
        try:
            shop = Living(plan, store, telemetry)
            shop.attempts = replace(shop.attempts, telemetry=telemetry)
            async with asyncio.timeout(DEADLINE_SECONDS):
                shop.step("t", "propose")
                await shop.settle()
                await work(shop, model, telemetry)
        finally:
            await store.close()

    asyncio.run(run())


async def attempt_of(shop: Living) -> Any:
    (run,) = await Runs(shop.store.deciding).open(10)
    return await shop.attempts.prepare(run)


def test_a_run_is_told_from_its_opening_to_its_end(tmp_path: Path) -> None:
    async def work(shop: Living, model: Model, telemetry: Telemetry) -> None:
        model.released.set()
        await shop.live()
        await asyncio.sleep(0)
        runs = [(kind, facts) for kind, facts in told(telemetry) if kind in ("run_opened", "pass_made", "run_ended")]
        place = {"sequence": 1, "attempt": 1}
        assert runs == [
            ("run_opened", {"sequence": 1, "step": "propose"}),
            ("pass_made", {**place, "number": 0, "decision": "call", "tool": "look"}),
            ("pass_made", {**place, "number": 1, "decision": "answer", "tool": ""}),
            ("run_ended", {"sequence": 1, "reason": "done", "lifecycle": "OPEN>ACTIVE>COMMIT>CLOSE", "at_sequence": 2}),
        ]

    scene(tmp_path, work)


def test_a_run_that_is_cancelled_answers_with_its_passes(tmp_path: Path) -> None:
    async def work(shop: Living, model: Model, telemetry: Telemetry) -> None:
        attempt = await attempt_of(shop)
        task = asyncio.ensure_future(attempt.carry_out())
        await model.second.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answer = attempt.cancelled()
        assert (answer.reason, answer.usage.model_calls) == (Reason.CANCELLED, 1)
        assert [(row.number, row.decision, row.tool) for row in answer.passes] == [(0, "call", "look")]

    scene(tmp_path, work)


def test_what_an_earlier_life_made_is_not_told_again(tmp_path: Path) -> None:
    async def work(shop: Living, model: Model, telemetry: Telemetry) -> None:
        model.released.set()
        first = await attempt_of(shop)
        await first.carry_out()
        again = await attempt_of(shop)
        recorded = tuple(first.seen[:2])  # the model's call and what its tool gave: the first pass
        again.request, again.seen = replace(again.request, recorded=recorded), list(recorded)
        await again.carry_out()
        await asyncio.sleep(0)
        passes = [facts["number"] for kind, facts in told(telemetry) if kind == "pass_made"]
        assert passes == [0, 1, 1]
        assert len(again.cancelled().passes) == 2

    scene(tmp_path, work)
