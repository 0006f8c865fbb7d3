"""Goal: a run whose answer is on the stream is carried out by nobody, and what is no answer to it keeps nobody from it.
Method: messages put behind an open request in a stream in memory, and a runner's attempt made ready before they are
decided."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from relmachine.kernel.answer import Answer, Reason
from relmachine.kernel.control import ANSWER
from relmachine.kernel.envelope import Envelope
from relmachine.store.runs import Runs
from relmachine.store.sqlite import SqliteStore
from tests.unit.replay.living import Living
from tests.unit.runs.incident import machine


def published(
    request: int, name: str = "one", attempt: int = 1, reason: Reason = Reason.CAP, plan: str = "{}", **more: object
) -> bytes:
    """An answer as it travels, with anything else in its envelope."""
    answer = Answer(request=request, attempt=attempt, reason=reason, plan=plan)
    data = answer.model_dump(mode="json", exclude_defaults=True)
    return Envelope(**{"id": name, "source": "relm:run", "type": ANSWER, "data": data, **more}).wire()  # pyright: ignore


def waiting(request: int, frozen: str) -> dict[str, list[bytes]]:
    """Messages that may wait behind the request of a run, which goes by the plan `frozen`."""
    answer = partial(published, plan=frozen)
    return {
        "answer": [answer(request)],
        "many others": [answer(77, f"other-{number}") for number in range(600)],
        "another attempt": [answer(request, attempt=2)],
        "another step's plan": [published(request)],
        "another source": [answer(request, source="relm:follow-up")],
        "another machine": [answer(request, machine="none")],
        "too large": [answer(request, data={"request": request, "attempt": 1, "reason": "cap", "plan": "x" * 400_000})],
        "no answer": [answer(request, data={"request": request, "attempt": 1})],
        "no json": [b"no json"],
    }


def carried_out(folder: Path, *behind: str) -> bool:
    """Whether the run would be carried out when these messages wait behind its request."""

    async def work() -> bool:
        plan = machine().plan()
        store = SqliteStore.open(folder / "store.db", plan)
        try:
            shop = Living(plan, store)
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await shop.settle()
            (run,) = await Runs(store.deciding).open(9)
            bodies = waiting(request, await Runs(store.deciding).frozen(run.frozen_digest))
            for name in behind:
                for body in bodies[name]:
                    shop.stream.publish("t", ANSWER, body)
            return await shop.attempts.prepare(run) is not None
        finally:
            await store.close()

    return asyncio.run(work())


def test_a_run_with_an_answer_is_not_carried_out(tmp_path: Path) -> None:
    assert not carried_out(tmp_path, "answer")


def test_an_answer_behind_many_others_is_found(tmp_path: Path) -> None:
    assert not carried_out(tmp_path, "many others", "answer")


@pytest.mark.parametrize(
    "what",
    [
        "another step's plan",
        "another attempt",
        "another source",
        "another machine",
        "too large",
        "no answer",
        "no json",
    ],
)
def test_what_would_be_refused_answers_for_nothing(tmp_path: Path, what: str) -> None:
    assert carried_out(tmp_path, what)


def test_an_answer_that_counted_for_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Its turn is over, and the run is open still: a key that was used before made it a repetition."""

    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "store.db", plan)
        try:
            shop = Living(plan, store)
            shop.step("t", "observe", symptom="slow")
            first = shop.stream.publish("t", ANSWER, published(77))
            request = shop.step("t", "propose")
            await shop.settle()
            (run,) = await Runs(store.deciding).open(9)
            frozen = await Runs(store.deciding).frozen(run.frozen_digest)
            shop.stream.publish("t", ANSWER, published(request, plan=frozen))
            await shop.settle()
            assert (await shop.outcome(first))["code"] == "run_unknown"
            assert [now.attempt for now in await Runs(store.deciding).open(9)] == [1]
            assert await shop.attempts.prepare(run) is not None
        finally:
            await store.close()

    asyncio.run(work())


@pytest.mark.parametrize(("reason", "attempts"), [(Reason.CAP, []), (Reason.OVERTAKEN, [2])])
def test_an_attempt_that_is_decided_while_it_is_made_ready_is_over(
    tmp_path: Path, reason: Reason, attempts: list[int]
) -> None:
    """The turn of its answer commits after the run was read as open, and before anybody looks behind the cursor."""

    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "store.db", plan)
        try:
            shop = Living(plan, store)
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await shop.settle()
            (run,) = await Runs(store.deciding).open(9)
            shop.step("t", "observe", symptom="gone")
            frozen = await Runs(store.deciding).frozen(run.frozen_digest)
            shop.stream.publish("t", ANSWER, published(request, reason=reason, plan=frozen))
            await shop.settle()
            assert [now.attempt for now in await Runs(store.deciding).open(9)] == attempts
            assert await shop.attempts.prepare(run) is None
        finally:
            await store.close()

    asyncio.run(work())
