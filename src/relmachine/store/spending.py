"""What the runs of a thread have spent and may yet spend, as far as its rows tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.kernel.lane import BUDGET, SetBudget
from relmachine.machine.runs import ThreadBudget

if TYPE_CHECKING:
    from relmachine.store.runs import Ask

_LIMIT = """
SELECT asked.value, payload, at_seq FROM json_each(?1) asked JOIN control_effects c ON (c.thread, c.control_seq) = (
  SELECT thread, control_seq FROM control_effects
  WHERE thread = asked.value AND record = ?2 AND outcome = 'applied' ORDER BY control_seq DESC LIMIT 1)
"""
# Answers to every attempt, also of runs that began again; and what open runs were granted.
_SPENT = """
SELECT a.thread, sum(a.tokens), sum(a.cost), sum(a.tool_calls), sum(a.seconds), sum(a.solver_seconds)
FROM json_each(?) asked JOIN run_answers a ON a.thread = asked.value ->> 0 AND a.at_seq > asked.value ->> 1
GROUP BY a.thread
"""
_GRANTED = """
SELECT o.thread, sum(f.content ->> '$.budget.tokens'), coalesce(sum(f.content ->> '$.budget.cost'), 0.0),
  sum(f.content ->> '$.budget.tool_calls'), sum(f.content ->> '$.budget.wall_seconds'),
  coalesce(sum(f.content ->> '$.budget.solver_seconds'), 0.0)
FROM json_each(?) asked JOIN runs_open o ON o.thread = asked.value ->> 0
JOIN runs r ON r.thread = o.thread AND r.seq = o.seq JOIN frozen_plans f ON f.frozen_digest = r.frozen_digest
GROUP BY o.thread
"""


@dataclass(frozen=True, slots=True)
class Spending:
    """Asks for each thread what is left of its budget: of what was set on the control lane, or else was `declared`."""

    ask: Ask
    declared: ThreadBudget | None

    async def left(self, threads: Sequence[str]) -> Mapping[str, ThreadBudget]:
        """What a run that is opened now may spend at most, by thread; one without bounds is left out. Nothing left is
        0 or less.
        """
        budgets = await self._budgets(threads)
        if not budgets:
            return {}
        asked = orjson.dumps([(thread, since) for thread, (_, since) in budgets.items()]).decode()
        spent, granted = [await self._amounts(sql, asked) for sql in (_SPENT, _GRANTED)]
        return {
            thread: _less(_less(budget, spent.get(thread)), granted.get(thread))
            for thread, (budget, _) in budgets.items()
        }

    async def _budgets(self, threads: Sequence[str]) -> dict[str, tuple[ThreadBudget, int]]:
        """The budgets, each with the sequence after which what answers say counts."""
        found: dict[str, tuple[ThreadBudget, int]] = {}
        if self.declared is not None:
            found = dict.fromkeys(threads, (self.declared, 0))
        for thread, payload, at_seq in await self.ask(_LIMIT, (orjson.dumps(threads).decode(), BUDGET)):
            said = SetBudget.model_validate_json(cast(str, payload))
            found[cast(str, thread)] = (ThreadBudget(**said.model_dump()), cast(int, at_seq))
        return found

    async def _amounts(self, sql: str, asked: str) -> dict[str, _Amounts]:
        return {cast(str, thread): cast(_Amounts, tuple(row)) for thread, *row in await self.ask(sql, (asked,))}


def _less(budget: ThreadBudget, amounts: _Amounts | None) -> ThreadBudget:
    if amounts is None:
        return budget
    tokens, cost, calls, seconds, solver = amounts
    return ThreadBudget(
        tokens=None if budget.tokens is None else budget.tokens - tokens,
        cost=None if budget.cost is None else budget.cost - cost,
        tool_calls=None if budget.tool_calls is None else budget.tool_calls - calls,
        wall_seconds=None if budget.wall_seconds is None else budget.wall_seconds - seconds,
        solver_seconds=None if budget.solver_seconds is None else budget.solver_seconds - solver,
    )


_Amounts = tuple[int, float, int, float, float]
"""Tokens, cost, tool calls, seconds, seconds of solvers."""
