"""Goal: the runs of a thread spend together no more than its budget. Method: requests and answers with given usage
through whole rounds on an embedded store; what each run was granted is read from its frozen plan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from relmachine import Machine, ThreadBudget
from relmachine.kernel.answer import Reason, Usage
from relmachine.kernel.frozen import Frozen
from relmachine.kernel.lane import BUDGET, Asked, Budget
from relmachine.machine.canonical import canonical_text
from relmachine.machine.runs import Budget as RunBudget
from relmachine.store.outcomes import outcome_at
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.unit.runs import incident
from tests.unit.runs.incident import decide

Work = Callable[["Shop"], Awaitable[None]]
OWN = RunBudget()


class Shop(incident.Asked):
    """A workshop that looks at what runs are granted, and tells a thread its budget."""

    async def opened(self, thread: str = "t") -> int:
        """Publish a request and decide it."""
        request = self.step(thread, "propose")
        await decide(self, thread)
        return request

    async def granted(self, request: int) -> RunBudget | object:
        """The budget in the run's frozen plan, or the code of the refusal."""
        sql = "SELECT f.content FROM runs r JOIN frozen_plans f USING (frozen_digest) WHERE r.seq = ?"
        for row in await self.table(sql, request):
            return Frozen.load(str(row["content"])).budget
        outcome = await outcome_at(self.store, "t", request)
        assert outcome is not None
        return outcome["code"]

    async def spend(self, request: int, reason: Reason = Reason.FATAL, attempt: int = 1, **usage: float) -> None:
        """Answer for a run that spent so much."""
        self.answer("t", request, reason=reason, attempt=attempt, usage=Usage.model_validate(usage))
        await decide(self)

    async def tell(self, sequence: int, budget: Budget) -> None:
        """A budget on the control lane."""
        data = canonical_text(budget.model_dump(mode="json"))
        principal = '{"principal":"ann"}'
        await self.store.control([Asked("t", sequence, BUDGET, f"key-{sequence}", data, principal, "", "t", "", "")])


def on_store(folder: Path, budget: ThreadBudget | None, work: Work) -> None:
    async def run() -> None:
        made: Machine = incident.machine()
        made.declaration.budget = budget
        plan = made.plan()
        store = SqliteStore.open(folder / "store.db", plan)
        try:
            shop = Shop(plan, store)
            shop.step("t", "observe", symptom="slow")
            await work(shop)
            report = await verify(store)
            assert report.ok, report.fault
        finally:
            await store.close()

    asyncio.run(run())


def test_a_thread_without_a_budget_grants_what_the_step_says(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        request = await shop.opened()
        await shop.spend(request, tokens=10**9, cost=10**6)
        assert await shop.granted(await shop.opened()) == OWN

    on_store(tmp_path, None, work)


def test_what_ended_runs_spent_and_open_ones_were_granted_is_gone(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        first = await shop.opened()
        assert await shop.granted(first) == RunBudget(tokens=100_000, cost=2.0)
        assert await shop.granted(await shop.opened()) == "budget_spent"
        await shop.spend(first, tokens=30_000, cost=0.5)
        second = await shop.opened()
        assert await shop.granted(second) == RunBudget(tokens=100_000, cost=1.5)
        await shop.spend(second, tokens=70_001, cost=0.5)
        third = await shop.opened()
        assert await shop.granted(third) == RunBudget(tokens=49_999, cost=1.0)
        await shop.spend(third, tokens=50_000, cost=0.0)
        refused = await shop.opened()
        assert await shop.granted(refused) == "budget_spent"
        assert await shop.table("SELECT gate, lifecycle FROM rejections WHERE seq = ?", refused) == [
            {"gate": "laws", "lifecycle": ""}
        ]

    on_store(tmp_path, ThreadBudget(tokens=150_000, cost=2.0), work)


def test_open_runs_share_what_is_left(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        one, other, third = [await shop.opened() for _ in range(3)]
        assert await shop.granted(one) == RunBudget(tokens=100_000)
        assert await shop.granted(other) == RunBudget(tokens=50_000)
        assert await shop.granted(third) == "budget_spent"

    on_store(tmp_path, ThreadBudget(tokens=150_000), work)


def test_every_attempt_counts(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        request = await shop.opened()
        await shop.spend(request, Reason.OVERTAKEN, tokens=40)
        await shop.spend(request, attempt=2, tokens=50)
        found = await shop.granted(await shop.opened())
        assert isinstance(found, RunBudget) and found.tokens == 10

    on_store(tmp_path, ThreadBudget(tokens=100), work)


@pytest.mark.parametrize(("member", "spent"), [("tool_calls", "tool_calls"), ("wall_seconds", "seconds")])
def test_each_bound_is_kept(tmp_path: Path, member: str, spent: str) -> None:
    """A step without tools may begin when the tool calls are spent: it is granted none."""

    async def work(shop: Shop) -> None:
        request = await shop.opened()
        assert getattr(await shop.granted(request), member) == 9
        await shop.spend(request, **{spent: 9})
        found = await shop.granted(await shop.opened())
        assert found == ("budget_spent" if member == "wall_seconds" else RunBudget(tool_calls=0))

    on_store(tmp_path, ThreadBudget(**{member: 9}), work)


def test_the_control_lane_sets_it_anew(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        first = await shop.opened()
        await shop.spend(first, tokens=100)
        assert await shop.granted(await shop.opened()) == "budget_spent"
        await shop.tell(1, Budget(tokens=50))
        second = await shop.opened()
        found = await shop.granted(second)
        assert isinstance(found, RunBudget) and (found.tokens, found.cost) == (50, None)
        await shop.spend(second, tokens=45)
        await shop.tell(2, Budget(cost=0.25))
        found = await shop.granted(await shop.opened())
        assert isinstance(found, RunBudget) and (found.tokens, found.cost) == (OWN.tokens, 0.25)

    on_store(tmp_path, ThreadBudget(tokens=100), work)
