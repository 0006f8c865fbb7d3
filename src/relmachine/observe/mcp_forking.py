"""MCP tools to fork, merge and resolve. Each docstring is what a model reads before it calls."""

from __future__ import annotations

from typing import Annotated

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field

from relmachine.kernel.envelope import ANONYMOUS
from relmachine.kernel.limits import Limits
from relmachine.observe import forking
from relmachine.observe.answers import Asked, StepRefused
from relmachine.observe.answers_forking import Obstruction, Obstructions
from relmachine.observe.forking import Asker
from relmachine.observe.mcp_errors import ProblemError, coded
from relmachine.observe.mcp_tools import At, Thread
from relmachine.observe.port import NodeView

_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)

Id = Annotated[str | None, Field(description="Repeat with the same id to repeat safely; made up if absent")]
Source = Annotated[str, Field(description="Who you are: with id, the identity of what you ask")]
Principal = Annotated[str, Field(description="On whose behalf, for the policy")]
ObstructionId = Annotated[str, Field(description="Id of an obstruction, 64 hexadecimal digits")]


def add_forking(server: FastMCP, node: NodeView, limits: Limits) -> None:
    """The tools."""
    _add_fork(server, node, limits)
    _add_merge(server, node, limits)
    _add_obstructions(server, node)
    _add_resolve(server, node, limits)


def _add_fork(server: FastMCP, node: NodeView, limits: Limits) -> None:
    @server.tool(title="Fork a thread", annotations=_WRITES)
    @coded
    async def fork(
        thread: Thread,
        at: At = None,
        name: Annotated[str | None, Field(description="Token of the new thread; made up when absent")] = None,
        *,
        id: Id = None,
        source: Source = "mcp",
        principal: Principal = ANONYMOUS,
    ) -> Asked:
        """Begin a new thread that goes on from a history which `thread` has or had.

        The new thread shares the past and its event ids; what is published on either later is its own. Bring them
        together again with `merge`.
        """
        asker = Asker(source, id, principal)
        return _told(await forking.fork(node, limits, asker, thread, at, name, limits.outcome_wait_seconds_max))


def _add_merge(server: FastMCP, node: NodeView, limits: Limits) -> None:
    @server.tool(title="Merge a thread into another", annotations=_WRITES)
    @coded
    async def merge(
        thread: Thread,
        other: Annotated[str, Field(description="Token of the thread that is merged into it, and closed")],
        *,
        id: Id = None,
        source: Source = "mcp",
        principal: Principal = ANONYMOUS,
    ) -> Asked:
        """Merge thread `other` into `thread`: the one history that contains both, and `other` takes no more steps.

        It exists exactly when every step that one has and the other has not is independent of every such step of the
        other. Else the error `obstructed` is answered, nothing is merged, and `obstructions` tells each pair.
        """
        asker = Asker(source, id, principal)
        return _told(await forking.merge(node, limits, asker, thread, other, limits.outcome_wait_seconds_max))


def _add_obstructions(server: FastMCP, node: NodeView) -> None:
    @server.tool(title="What keeps threads from being merged", annotations=_READS)
    @coded
    async def obstructions(
        thread: Annotated[str | None, Field(description="Only those of this thread; all when absent")] = None,
        *,
        resolved: Annotated[bool, Field(description="Also those that are resolved")] = False,
        limit: Annotated[int, Field(ge=1, le=1000, description="How many at most")] = 100,
    ) -> Obstructions:
        """The pairs of steps that kept a thread from being merged into another, those met last first."""
        return await forking.obstructions(node, thread, limit, resolved=resolved)

    @server.tool(title="One obstruction with both sides", annotations=_READS)
    @coded
    async def obstruction(obstruction: ObstructionId) -> Obstruction:
        """Both sides of an obstruction with their steps and values, why neither comes first, and its resolution."""
        return await forking.obstruction(node, obstruction)


def _add_resolve(server: FastMCP, node: NodeView, limits: Limits) -> None:
    @server.tool(title="Resolve an obstruction", annotations=_WRITES)
    @coded
    async def resolve(
        obstruction: ObstructionId,
        keep: Annotated[str, Field(description="Token of the thread whose side stays, one of the two")],
        reason: Annotated[str, Field(description="Why, for whoever reads it later")],
        *,
        id: Id = None,
        source: Source = "mcp",
        principal: Principal = ANONYMOUS,
    ) -> Asked:
        """Say which side of an obstruction stays. It is final. Further merges leave out the steps of the other side
        and all that comes after them; call `merge` again to have them.
        """
        asker = Asker(source, id, principal)
        seconds = limits.outcome_wait_seconds_max
        return _told(await forking.resolve(node, limits, asker, obstruction, keep, reason, seconds))


def _told(answer: Asked | StepRefused) -> Asked:
    if isinstance(answer, StepRefused):
        raise ProblemError(answer)
    return answer
