"""What a run has spent, held against its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relmachine.kernel.answer import Decision, Usage
from relmachine.machine.runs import Budget


@dataclass(frozen=True, slots=True)
class RunSpending:
    """Sums over the decisions of a run: nothing that is not recorded counts."""

    decisions: Sequence[Decision]
    budget: Budget
    fallback: str = ""

    def over(self, model: str) -> str | None:
        """What `model` and others beside it have spent all of; None while it may be asked. The fallback has the whole
        tokens and cost for itself.
        """
        apart = model == self.fallback
        asked = [item for item in self.decisions if item.kind == "model" and (item.name == self.fallback) is apart]
        tokens, cost = sum(item.tokens for item in asked), sum(item.cost for item in asked)
        if tokens >= self.budget.tokens:
            return f"the {self.budget.tokens} tokens of model {model!r} are spent"
        if self.budget.cost is not None and cost >= self.budget.cost:
            return f"the {self.budget.cost} US dollars of model {model!r} are spent"
        return None

    def tools_over(self) -> str | None:
        """The same of tool calls."""
        over = sum(item.kind == "tool" for item in self.decisions) >= self.budget.tool_calls
        return f"the {self.budget.tool_calls} tool calls are spent" if over else None

    def usage(self, seconds: float, solver_seconds: float = 0.0) -> Usage:
        """All of it, with the wall and the solver seconds of this life of the run."""
        return Usage(
            model_calls=sum(item.kind == "model" for item in self.decisions),
            tool_calls=sum(item.kind == "tool" for item in self.decisions),
            tokens=sum(item.tokens for item in self.decisions),
            cost=sum(item.cost for item in self.decisions),
            seconds=seconds,
            solver_seconds=solver_seconds,
        )
