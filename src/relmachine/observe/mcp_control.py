"""The MCP tool of the control lane. Its docstring is what a model reads before it calls."""

from __future__ import annotations

from typing import Annotated

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field

from relmachine.kernel.envelope import ANONYMOUS
from relmachine.kernel.lane import LaneName
from relmachine.kernel.limits import Limits
from relmachine.observe.answers import StepRefused
from relmachine.observe.controlling import ControlAccepted, ControlAsked, ControlTold, tell
from relmachine.observe.forking import Asker
from relmachine.observe.mcp_errors import ProblemError, coded
from relmachine.observe.mcp_forking import Id, Principal, Source
from relmachine.observe.mcp_tools import Thread
from relmachine.observe.port import NodeView

_STOPS = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


def add_control(server: FastMCP, node: NodeView, limits: Limits) -> None:
    """The tool."""
    longest = limits.outcome_wait_seconds_max

    @server.tool(title="Cancel, pause, resume or close a thread, or give it a budget", annotations=_STOPS)
    @coded
    async def control(
        thread: Thread,
        record: Annotated[LaneName, Field(description="What to tell it")],
        reason: Annotated[str | None, Field(description="Why, for people; resume takes none")] = None,
        request: Annotated[
            int | None, Field(description="With cancel: only the run of the step at this sequence")
        ] = None,
        tokens: Annotated[int | None, Field(description="With budget: tokens of models")] = None,
        cost: Annotated[float | None, Field(description="With budget: US dollars")] = None,
        wall_seconds: Annotated[float | None, Field(description="With budget: seconds of runs")] = None,
        solver_seconds: Annotated[
            float | None, Field(description="With budget: seconds of tools that answer from the machine")
        ] = None,
        tool_calls: Annotated[int | None, Field(description="With budget: calls of tools")] = None,
        *,
        id: Id = None,
        source: Source = "mcp",
        principal: Principal = ANONYMOUS,
    ) -> ControlTold | ControlAccepted:
        """Tell a thread something ahead of its steps; the answer says where it took hold.

        `cancel` (final): its history stays as it is, running model calls end; with `request`, only the run of the step
        at that sequence ends. `pause` and `resume`: its steps wait. `close` (final): it takes no more steps. These need
        a `reason`, `resume` none. `budget`: what its runs may still spend (`tokens`, `cost`, `wall_seconds`,
        `solver_seconds`, `tool_calls`).
        """
        asked = ControlAsked(
            record=record,
            reason=reason,
            request=request,
            tokens=tokens,
            cost=cost,
            wall_seconds=wall_seconds,
            solver_seconds=solver_seconds,
            tool_calls=tool_calls,
        )
        asker = Asker(source, id, principal)
        answer = await tell(node, limits, asker, thread, record, asked.payload(), longest)
        if isinstance(answer, StepRefused):
            raise ProblemError(answer)
        return answer
