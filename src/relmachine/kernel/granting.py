"""What a run is granted: the smaller of its step's budget and what is left of its thread's."""

from __future__ import annotations

from dataclasses import asdict, replace

from relmachine.errors import Code
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.plan import StepPlan
from relmachine.machine.runs import Budget, ThreadBudget


def granted(step: StepPlan, left: ThreadBudget | None) -> Budget | Refusal:
    """The budget of a run of `step`, which runs outside its turn; or why there is nothing left to begin with.

    A step without tools needs no tool calls, and one without tools that answer from the machine no solver seconds.
    """
    run = step.run
    assert run is not None, "only steps that run outside their turn have a budget"
    if left is None:
        return run.budget
    needed = asdict(left)
    if not run.tools and not run.own_tools:
        del needed["tool_calls"]
    if not run.own_tools:
        del needed["solver_seconds"]
    spent = sorted(name for name, amount in needed.items() if amount is not None and amount <= 0)
    if spent:
        sentence = (
            f"the runs of this thread have spent or been granted all the {', '.join(spent)} that they may together: "
            "wait for them, or set its budget anew (`relm thread budget`)"
        )
        return Refusal(Code.BUDGET_SPENT, GateName.LAWS, sentence, {"left": asdict(left)})
    own = run.budget
    return replace(
        own,
        tokens=own.tokens if left.tokens is None else min(own.tokens, left.tokens),
        cost=_smaller(own.cost, left.cost),
        tool_calls=own.tool_calls if left.tool_calls is None else max(0, min(own.tool_calls, left.tool_calls)),
        wall_seconds=_at_most(own.wall_seconds, left.wall_seconds),
        solver_seconds=max(0.0, _at_most(own.solver_seconds, left.solver_seconds)),
    )


def _at_most(one: float, bound: float | None) -> float:
    return one if bound is None else min(one, bound)


def _smaller(one: float | None, other: float | None) -> float | None:
    given = [amount for amount in (one, other) if amount is not None]
    return min(given, default=None)
