"""Goal: the runs of a thread spend together no more than its budget. Method: requests and answers with given usage
through whole rounds on an embedded store; what each run was granted is read from its frozen plan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from relmachine import Code, Machine, ThreadBudget
from relmachine.kernel.answer import Reason, Usage
from relmachine.kernel.frozen import Frozen
from relmachine.kernel.granting import granted
from relmachine.kernel.lane import BUDGET, Asked, SetBudget
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.canonical import canonical_text
from relmachine.machine.runs import Budget
from relmachine.store import spending
from relmachine.store.outcomes import outcome_at
from relmachine.store.run_reading import runs
from relmachine.store.spending import Spending
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.unit.engine.runs.incidents import incidents
from tests.unit.runs import incident
from tests.unit.runs.incident import decide

Work = Callable[["Shop"], Awaitable[None]]
OWN = Budget()


class Shop(incident.Asked):
    """A workshop that looks at what runs are granted, and tells a thread its budget."""

    async def opened(self, thread: str = "t") -> int:
        """Publish a request and decide it."""
        request = self.step(thread, "propose")
        await decide(self, thread)
        return request

    async def granted(self, request: int) -> Budget | object:
        """The budget in the run's frozen plan, or the code of the refusal."""
        sql = "SELECT f.content FROM runs r JOIN frozen_plans f USING (frozen_digest) WHERE r.seq = ?"
        for row in await self.table(sql, request):
            return Frozen.load(str(row["content"])).budget
        outcome = await outcome_at(self.store, "t", request)
        assert outcome is not None
        return outcome["code"]

    async def spend(self, request: int, reason: Reason = Reason.FATAL, attempt: int = 1, **usage: float) -> None:
        """Answer for a run that spent so much."""
        sql = "SELECT f.content FROM runs r JOIN frozen_plans f USING (frozen_digest) WHERE r.seq = ?"
        ((plan,),) = [row.values() for row in await self.table(sql, request)]
        self.answer("t", request, reason=reason, attempt=attempt, usage=Usage.model_validate(usage), plan=plan)
        await decide(self)

    async def tell(self, sequence: int, budget: SetBudget) -> None:
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
        assert await shop.granted(first) == Budget(tokens=100_000, cost=2.0)
        assert await shop.granted(await shop.opened()) == "budget_spent"
        await shop.spend(first, tokens=30_000, cost=0.5)
        second = await shop.opened()
        assert await shop.granted(second) == Budget(tokens=100_000, cost=1.5)
        await shop.spend(second, tokens=70_001, cost=0.5)
        third = await shop.opened()
        assert await shop.granted(third) == Budget(tokens=49_999, cost=1.0)
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
        assert await shop.granted(one) == Budget(tokens=100_000)
        assert await shop.granted(other) == Budget(tokens=50_000)
        assert await shop.granted(third) == "budget_spent"

    on_store(tmp_path, ThreadBudget(tokens=150_000), work)


def test_every_attempt_counts(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        request = await shop.opened()
        await shop.spend(request, Reason.OVERTAKEN, tokens=40)
        await shop.spend(request, attempt=2, tokens=50)
        found = await shop.granted(await shop.opened())
        assert isinstance(found, Budget) and found.tokens == 10

    on_store(tmp_path, ThreadBudget(tokens=100), work)


def test_solver_seconds_of_all_attempts_are_told(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        request = await shop.opened()
        await shop.spend(request, Reason.OVERTAKEN, solver_seconds=1.5)
        await shop.spend(request, attempt=2, solver_seconds=0.5)
        (line,) = await runs(shop.store, "t")
        assert line.solver_seconds == 2.0

    on_store(tmp_path, None, work)


@pytest.mark.parametrize(
    ("member", "spent"),
    [("tool_calls", "tool_calls"), ("wall_seconds", "seconds"), ("solver_seconds", "solver_seconds")],
)
def test_each_bound_is_kept(tmp_path: Path, member: str, spent: str) -> None:
    """A step without tools may begin when the tool calls or the solver seconds are spent: it is granted none."""

    async def work(shop: Shop) -> None:
        request = await shop.opened()
        assert getattr(await shop.granted(request), member) == 4
        await shop.spend(request, **{spent: 4})
        found = await shop.granted(await shop.opened())
        assert found == ("budget_spent" if member == "wall_seconds" else Budget(**{member: 0}))

    on_store(tmp_path, ThreadBudget(**{member: 4}), work)


def test_a_step_that_asks_the_machine_needs_solver_seconds() -> None:
    step = incidents().plan().step("hypothesise")
    assert step is not None
    refusal = granted(step, ThreadBudget(solver_seconds=0.0))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "solver_seconds" in refusal.sentence) == (Code.BUDGET_SPENT, True)
    assert granted(step, ThreadBudget(solver_seconds=0.5)) == Budget(solver_seconds=0.5)


def test_the_control_lane_sets_solver_seconds_alone(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        await shop.opened()  # before the first step there is no thread to tell
        await shop.tell(1, SetBudget(solver_seconds=2.5))
        await shop.spend(2)
        assert await shop.granted(await shop.opened()) == Budget(solver_seconds=2.5)

    on_store(tmp_path, None, work)


def test_the_control_lane_sets_it_anew(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        first = await shop.opened()
        await shop.spend(first, tokens=100)
        assert await shop.granted(await shop.opened()) == "budget_spent"
        await shop.tell(1, SetBudget(tokens=50))
        second = await shop.opened()
        found = await shop.granted(second)
        assert isinstance(found, Budget) and (found.tokens, found.cost) == (50, None)
        await shop.spend(second, tokens=45)
        await shop.tell(2, SetBudget(cost=0.25))
        found = await shop.granted(await shop.opened())
        assert isinstance(found, Budget) and (found.tokens, found.cost) == (OWN.tokens, 0.25)

    on_store(tmp_path, ThreadBudget(tokens=100), work)


def test_threads_that_open_runs_together_spend_of_their_own(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        first = await shop.opened()
        await shop.spend(first, tokens=30)
        await shop.tell(1, SetBudget(tokens=50))
        await shop.opened()
        shop.step("u", "observe", symptom="slow")
        await decide(shop, "u")
        left = await Spending(shop.store.deciding, ThreadBudget(tokens=100)).left(["t", "u"])
        assert left == {"t": ThreadBudget(tokens=0), "u": ThreadBudget(tokens=100)}
        assert (await Spending(shop.store.deciding, None).left(["t", "u"])).keys() == {"t"}

    on_store(tmp_path, ThreadBudget(tokens=100), work)


def test_what_was_spent_is_summed_without_reading_an_answer(tmp_path: Path) -> None:
    async def work(shop: Shop) -> None:
        plan = await shop.store.deciding(f"EXPLAIN QUERY PLAN {spending._SPENT}", ("[]",))
        assert any("USING INDEX run_answers_by_record (thread=? AND at_seq>?)" in str(row[-1]) for row in plan), plan
        assert "said" not in spending._SPENT

    on_store(tmp_path, None, work)
