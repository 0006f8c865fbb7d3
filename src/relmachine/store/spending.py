"""What the runs of a thread have spent and may yet spend, as far as its rows tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from relmachine.kernel.lane import BUDGET, Budget
from relmachine.machine.runs import ThreadBudget

if TYPE_CHECKING:
    from relmachine.store.runs import Ask

_LIMIT = """
SELECT payload, at_seq FROM control_effects
WHERE thread = ? AND record = ? AND outcome = 'applied' ORDER BY control_seq DESC LIMIT 1
"""
# Answers to every attempt, also of runs that began again; and what open runs were granted.
_SPENT = """
SELECT coalesce(sum(said ->> '$.usage.tokens'), 0), coalesce(sum(said ->> '$.usage.cost'), 0.0),
  coalesce(sum(said ->> '$.usage.tool_calls'), 0), coalesce(sum(said ->> '$.usage.seconds'), 0.0)
FROM run_answers WHERE thread = ? AND at_seq > ?
"""
_GRANTED = """
SELECT coalesce(sum(f.content ->> '$.budget.tokens'), 0), coalesce(sum(f.content ->> '$.budget.cost'), 0.0),
  coalesce(sum(f.content ->> '$.budget.tool_calls'), 0), coalesce(sum(f.content ->> '$.budget.wall_seconds'), 0.0)
FROM runs r JOIN frozen_plans f ON f.frozen_digest = r.frozen_digest
WHERE r.thread = ? AND NOT EXISTS (SELECT 1 FROM run_ends e WHERE e.thread = r.thread AND e.seq = r.seq)
"""


@dataclass(frozen=True, slots=True)
class Spending:
    """Asks for each thread what is left of its budget: of what was set on the control lane, or else was `declared`."""

    ask: Ask
    declared: ThreadBudget | None

    async def left(self, thread: str) -> ThreadBudget | None:
        """What a run that is opened now may spend at most, None without bounds. Nothing left is 0 or less."""
        budget, since = await self._budget(thread)
        if budget is None:
            return None
        ((tokens, cost, calls, seconds),) = cast("list[_Amounts]", await self.ask(_SPENT, (thread, since)))
        ((more_tokens, more_cost, more_calls, more_seconds),) = cast(
            "list[_Amounts]", await self.ask(_GRANTED, (thread,))
        )
        return ThreadBudget(
            tokens=None if budget.tokens is None else budget.tokens - tokens - more_tokens,
            cost=None if budget.cost is None else budget.cost - cost - more_cost,
            tool_calls=None if budget.tool_calls is None else budget.tool_calls - calls - more_calls,
            wall_seconds=None if budget.wall_seconds is None else budget.wall_seconds - seconds - more_seconds,
        )

    async def _budget(self, thread: str) -> tuple[ThreadBudget | None, int]:
        """The budget, and the sequence after which what answers say counts."""
        for payload, at_seq in await self.ask(_LIMIT, (thread, BUDGET)):
            said = Budget.model_validate_json(cast(str, payload))
            return ThreadBudget(said.tokens, said.cost, said.tool_calls, said.wall_seconds), cast(int, at_seq)
        return self.declared, 0


_Amounts = tuple[int, float, int, float]
