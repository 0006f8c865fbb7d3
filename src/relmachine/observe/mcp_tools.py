"""The tools of the MCP server. Each docstring is what a model reads before it calls."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field

from relmachine.kernel.envelope import ANONYMOUS, SCHEMA_VERSION
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import check_thread
from relmachine.machine.canonical import canonical
from relmachine.observe import asking
from relmachine.observe.answers import (
    NucleusAnswer,
    Problem,
    SectionAnswer,
    SettledAnswer,
    StepAccepted,
    StepCommitted,
    StepRefused,
    WhyAnswer,
)
from relmachine.observe.knowledge import normal_form_of
from relmachine.observe.mcp_errors import coded, tool_error
from relmachine.observe.port import NodeView
from relmachine.observe.publishing import outcome_of, submit_one

_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)

Thread = Annotated[str, Field(description="Thread token: letters, digits, '_', '~', '-', and %XX for all else")]
History = Annotated[str, Field(description="History id, 64 hexadecimal digits: `settled` and `section` answer it")]
Element = Annotated[
    list[str],
    Field(description="Claims asserted in the history, together with all that they rest on; [] is the least element"),
]


def add_publish(server: FastMCP, node: NodeView, limits: Limits) -> None:
    """The tool that changes something."""

    @server.tool(title="Publish a step", annotations=_WRITES)
    @coded
    async def publish(
        thread: Thread,
        step: Annotated[str, Field(description="Name of the step, one the machine declares")],
        data: Annotated[dict[str, object], Field(description="The step's payload")],
        id: Annotated[str | None, Field(description="Repeat with the same id to repeat safely; made up if absent")] = None,
        source: Annotated[str, Field(description="Who you are: with id, the identity of the step")] = "mcp",
        principal: Annotated[str, Field(description="On whose behalf, for the policy")] = ANONYMOUS,
        wait: Annotated[bool, Field(description="Wait for the outcome instead of returning once it is on the stream")] = True,
    ) -> StepCommitted | StepAccepted:
        """Publish a step on a thread and learn what became of it.

        Answers `outcome: committed` with the event, the new history and the claims it settled or superseded; or, when
        you do not wait or it takes too long, only the stream sequence. A refused step is an error whose code, gate,
        sentence and witness say what to change; it has changed nothing. Publishing the same id again with the same
        data changes nothing and answers the recorded outcome; with other data it is an `id_conflict`.
        """
        event = {
            "specversion": "1.0",
            "id": id or uuid.uuid4().hex,
            "source": source,
            "type": step,
            "data": data,
            "principal": principal,
        }
        accepted = await submit_one(node, thread, canonical(event), limits)
        if isinstance(accepted, StepRefused):
            return tool_error(accepted)
        if not wait:
            return accepted
        outcome = await outcome_of(node, thread, accepted.sequence, limits.outcome_wait_seconds_max)
        if isinstance(outcome, StepRefused):
            return tool_error(outcome)
        return outcome or accepted
