"""Goal: what the tools take that answer from the machine is counted, and ends the run when it is spent. Method: one
of them made to hang, and agents that ask them once, or too often.
"""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest

from relmachine.engine.runs.own_tools import OwnTools
from relmachine.kernel.answer import Answer, Reason
from relmachine.machine.runs import Budget
from tests.unit.engine.runs.clock import set_forward
from tests.unit.engine.runs.incidents import incidents
from tests.unit.engine.runs.scene import Scene, assert_plays_back, call, calls, final, scripted
from tests.unit.engine.runs.test_fallbacks import careful

GOOD = final(cause="disk")
SHORT = Budget(solver_seconds=0.1)


def test_what_the_tools_of_the_machine_take_is_counted() -> None:
    asked = calls(("normalize", {"steps": ["report"]}), ("settled", {}))
    answer = Scene(incidents(), "hypothesise", {"default": scripted(asked, GOOD)}).run()
    assert answer.reason == Reason.DONE
    assert 0 < answer.usage.solver_seconds < answer.usage.seconds


def test_tools_of_the_author_take_none_of_it() -> None:
    scene = Scene(incidents(), "hypothesise", {"default": scripted(call("look", {"service": "a"}), GOOD)})
    assert scene.run().usage.solver_seconds == 0


def test_a_run_ends_when_they_are_spent_and_plays_back_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Event()
    monkeypatch.setattr(OwnTools, "settled", lambda self: gate.wait())
    scene = Scene(incidents(budget=SHORT), "hypothesise", {"default": scripted(call("settled"), GOOD)})
    try:
        answer = scene.run()
        assert (answer.reason, answer.decisions[-1].name) == (Reason.BUDGET, "solver")
        assert answer.failure is not None
        assert (answer.failure.code, "solver seconds" in answer.failure.sentence) == ("budget_spent", True)
        assert_plays_back(scene, answer)
    finally:
        gate.set()


def test_they_are_those_of_all_calls_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call takes less than all that there is: together they are too many."""
    budget, each, now = Budget(solver_seconds=100.0, wall_seconds=1000.0), 40.0, [0.0]

    async def run() -> Answer:
        loop = asyncio.get_running_loop()

        def settled(self: OwnTools) -> None:
            """Return when `each` seconds have passed on the clocks; a timer that is due before is heard before."""
            over = Event()

            def let_pass() -> None:
                now[0] += each
                set_forward(each)
                loop.call_later(0, over.set)

            loop.call_soon_threadsafe(let_pass)
            over.wait()

        monkeypatch.setattr(OwnTools, "settled", settled)
        return (await scene.carrier.carry_out(scene.request())).answer

    monkeypatch.setattr("relmachine.engine.runs.solver.monotonic", lambda: now[0])
    look = calls(*[("settled", {})] * 9)
    scene = Scene(incidents(budget=budget), "hypothesise", {"default": scripted(look, GOOD)})
    answer = asyncio.run(run())
    assert (answer.reason, answer.decisions[-1].name) == (Reason.BUDGET, "solver")
    assert (answer.usage.tool_calls, answer.usage.solver_seconds) == (2, 3 * each)


def test_a_fallback_closure_answers_then(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Event()
    monkeypatch.setattr(OwnTools, "settled", lambda self: gate.wait())
    scene = Scene(careful(budget=SHORT), "judge", {"default": scripted(call("settled"))})
    try:
        answer = scene.run()
        assert (answer.reason, [item.name for item in answer.decisions[-2:]]) == (Reason.DONE, ["solver", "fallback"])
        assert_plays_back(scene, answer)
    finally:
        gate.set()


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf")])
def test_a_budget_of_none_is_refused(seconds: Any) -> None:
    report = incidents(budget=Budget(solver_seconds=seconds)).check()
    found = [finding.witness.get("bound") for law in report.failed for finding in law.findings]
    assert "budget.solver_seconds" in found
