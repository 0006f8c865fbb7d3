"""The LangGraph graph of a run: its super-steps are the tiers.

`next_tier` finds the next tier in which something has to be computed and fans its steps out with `Send`; the tasks
only add to `results`. Tiers of recorded steps pass without a super-step of their own. The steps of a tier go out in
chunks rather than one by one: a closure takes microseconds, a LangGraph task 0.3 ms (measured, `docs/performance.md`).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from relmachine.engine.job import Job
from relmachine.engine.outputs import Taken
from relmachine.kernel.verdicts import Refusal

STEPS_PER_TASK_MAX = 128
"""Steps of one tier that share a LangGraph task."""

_SUPER_STEPS_PER_TIER = 2

Place = tuple[int, int]
"""A job's number and the index of a step in it."""


class RunState(TypedDict):
    """State of one run. `results` only ever grows; the first `taken` of them are settled."""

    jobs: Sequence[Job]
    tier: int
    taken: int
    ready: list[Place]
    results: Annotated[list[tuple[Place, Taken | Refusal]], operator.add]


class Chunk(TypedDict):
    """What one task computes."""

    jobs: Sequence[Job]
    places: list[Place]


def run_tiers(jobs: Sequence[Job]) -> None:
    """Run every computed step of `jobs`; their `outputs` and `failures` are filled in."""
    tiers_count = max((len(job.by_tier) for job in jobs), default=0)
    start: RunState = {"jobs": jobs, "tier": -1, "taken": 0, "ready": [], "results": []}
    _graph().invoke(start, {"recursion_limit": _SUPER_STEPS_PER_TIER * tiers_count + 4})


def _next_tier(state: RunState) -> dict[str, object]:
    """Settle the tier that ran, then go on to the next one that has something to compute."""
    jobs, tier, results = state["jobs"], state["tier"], state["results"]
    found: dict[int, dict[int, Taken | Refusal]] = {}
    for (number, index), result in results[state["taken"] :]:
        found.setdefault(number, {})[index] = result
    ready: list[Place] = []
    while not ready and any(tier < len(job.by_tier) for job in jobs):
        for number, job in enumerate(jobs):
            if 0 <= tier < len(job.by_tier):
                job.settle_tier(tier, found.get(number, {}))
        tier += 1
        ready = [
            (number, index) for number, job in enumerate(jobs) if tier < len(job.by_tier) for index in job.ready(tier)
        ]
    return {"tier": tier, "taken": len(results), "ready": ready}


def _fan_out(state: RunState) -> list[Send] | str:
    ready = state["ready"]
    if not ready:
        return END
    return [
        Send("compute", Chunk(jobs=state["jobs"], places=ready[start : start + STEPS_PER_TASK_MAX]))
        for start in range(0, len(ready), STEPS_PER_TASK_MAX)
    ]


def _compute(chunk: Chunk) -> dict[str, object]:
    jobs = chunk["jobs"]
    return {"results": [((number, index), jobs[number].run(index)) for number, index in chunk["places"]]}


@lru_cache(maxsize=1)
def _graph() -> Any:
    builder: Any = StateGraph(RunState)
    builder.add_node("next_tier", _next_tier)
    builder.add_node("compute", _compute)
    builder.add_edge(START, "next_tier")
    builder.add_conditional_edges("next_tier", _fan_out, ["compute", END])
    builder.add_edge("compute", "next_tier")
    return builder.compile()
