"""The tools of the MCP server. Each docstring is what a model reads before it calls."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field

from relmachine.algebra.identity import ID_CHARACTERS
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.kernel.knowledge import normal_form_of
from relmachine.kernel.limits import Limits
from relmachine.machine.canonical import canonical
from relmachine.observe import asking
from relmachine.observe.answers import Published, RecordApplied, StepHeld, StepOpened, StepRefused
from relmachine.observe.answers_lag import Lag
from relmachine.observe.answers_reading import Knowledge, Section, Settled, Why
from relmachine.observe.answers_runs import RunsTold
from relmachine.observe.mcp_errors import ProblemError, coded
from relmachine.observe.port import NodeView
from relmachine.observe.publishing import settled_of, submit_one

_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)

_RUNS_MAX = 100
"""Runs of one answer."""

Thread = Annotated[str, Field(description="Thread token: letters, digits, '_', '~', '-', and %XX for all else")]
History = Annotated[
    str, Field(description=f"History id, {ID_CHARACTERS} hexadecimal digits: `settled` and `section` answer it")
]
Element = Annotated[
    list[str],
    Field(description="Claims asserted in the history, together with all that they rest on; [] is the least element"),
]

At = Annotated[
    int | str | None,
    Field(description="Stream sequence up to which to read, or id of a history of the thread; omit it for the present"),
]


def add_publish(server: FastMCP, node: NodeView, limits: Limits) -> None:
    """The tool that changes something."""

    @server.tool(title="Publish a step", annotations=_WRITES)
    @coded
    async def publish(
        thread: Thread,
        step: Annotated[str, Field(description="Name of the step, one the machine declares")],
        data: Annotated[dict[str, object], Field(description="The step's payload")],
        *,
        id: Annotated[
            str | None, Field(description="Repeat with the same id to repeat safely; made up if absent")
        ] = None,
        source: Annotated[str, Field(description="Who you are: with id, the identity of the step")] = "mcp",
        principal: Annotated[str, Field(description="On whose behalf, for the policy")] = ANONYMOUS,
        wait: Annotated[
            bool, Field(description="Wait for the outcome instead of returning once it is on the stream")
        ] = True,
    ) -> Published:
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

        async def body() -> bytes:
            return canonical(event)

        accepted = await submit_one(node, thread, body)
        if isinstance(accepted, StepRefused):
            raise ProblemError(accepted)
        if not wait:
            return Published(accepted=accepted, committed=None)
        outcome = await settled_of(node, accepted, limits.outcome_wait_seconds_max)
        if isinstance(outcome, RecordApplied):
            return Published(accepted=accepted, committed=None)
        if isinstance(outcome, StepRefused):
            raise ProblemError(outcome)
        if isinstance(outcome, StepOpened):
            return Published(accepted=accepted, committed=None, opened=outcome)
        if isinstance(outcome, StepHeld):
            return Published(accepted=accepted, committed=None, held=outcome)
        return Published(accepted=accepted, committed=outcome)


def add_algebra(server: FastMCP, node: NodeView) -> None:
    """Tools that compute and change nothing."""

    @server.tool(title="Normal form of a sequence of steps", annotations=_READS)
    @coded
    async def normalize(
        steps: Annotated[list[str], Field(description="Names of steps in the order they came")],
    ) -> str:
        """The Foata normal form of a sequence of steps under this machine's dependence, such as `(a b)(c)`.

        Tiers in order, the steps of a tier sorted: those of one tier commute. Two sequences have the same normal form
        exactly when they are the same history up to swaps of independent neighbours. The empty sequence gives the
        empty text. Nothing is checked but the names: whether such a history would be admitted is not asked.
        """
        return normal_form_of(node.plan, steps)

    @server.tool(title="Saturate: what follows by deterministic steps", annotations=_READS)
    @coded
    async def saturate(history: History, element: Element) -> Knowledge:
        """σ(a) for an element a (a state of knowledge) of the history's fiber: a and every claim that rests only on
        a once claims without a stable closure (model judgements) are taken as granted.

        A claim is in the result when every Process or Procedure claim it rests on, itself included, is in a.
        """
        return await asking.knowledge(node, history, element, "σ")

    @server.tool(title="Transfer: what follows without coordination", annotations=_READS)
    @coded
    async def transfer(history: History, element: Element) -> Knowledge:
        """Δ(a) for an element a (a state of knowledge) of the history's fiber: a and every claim that rests only on a
        once claims that may still be taken back without coordination are taken as granted.

        A claim is in the result when every Process or Derivation claim that no step can veto and that it rests on,
        itself included, is in a.
        """
        return await asking.knowledge(node, history, element, "Δ")


def add_reading(server: FastMCP, node: NodeView) -> None:
    """Tools that ask about threads."""

    @server.tool(title="What is settled on a thread", annotations=_READS)
    @coded
    async def settled(thread: Thread) -> Settled:
        """The claims that hold for good on a thread at present, with its history id.

        A settled claim is asserted by deterministic steps only, rests on effective claims, and can only be superseded
        by a later dependent contest. Use `why` for the steps behind one of them.
        """
        return await asking.settled(node, thread)

    @server.tool(title="How far behind the stream", annotations=_READS)
    @coded
    async def lag(
        threads: Annotated[
            list[str] | None, Field(description="Thread tokens to ask about; omit it for those that lag most")
        ] = None,
    ) -> Lag:
        """How many published steps wait to be decided, and for how long: in all, and by thread.

        A step is published once the stream has it and decided later; `behind` counts a thread's steps in between. Lanes
        are the ways through the nodes: `steps` in; `journal`, `out` and `rejected` out. Ask this when a step that you
        published has no outcome yet, or when publishing answers `overloaded`.
        """
        return await asking.lag(node, threads or ())

    @server.tool(title="The section of a thread", annotations=_READS)
    @coded
    async def section(thread: Thread, at: At = None) -> Section:
        """The values of the thread's fields, folded from what its steps contributed, now or as of a point.

        `fields` holds every contribution; `settled_fields` only those of settled events.
        """
        return await asking.section(node, thread, at)

    @server.tool(title="Why a claim holds or does not", annotations=_READS)
    @coded
    async def why(thread: Thread, claim: Annotated[str, Field(description="Name of a claim of the machine")]) -> Why:
        """The standing of a claim on a thread and the steps behind it: who asserted, contested or vetoed it and what
        it rests on."""
        return await asking.why(node, thread, claim)

    @server.tool(title="Runs: steps that ask models", annotations=_READS)
    @coded
    async def runs(
        thread: Thread,
        request: Annotated[
            int | None,
            Field(ge=1, description="Stream sequence of the step whose run to tell whole; omit it for the list"),
        ] = None,
        after: Annotated[int, Field(ge=0, description="Only runs whose step came after this stream sequence")] = 0,
    ) -> RunsTold:
        """The steps of a thread that ran, or run, outside their turn: state, reason, passes, tokens, cost, model.

        With `request` only that run, whole: every pass, and every decision that it saw (answers of models, results of
        tools, times, ids). Ask this when a step is `opened` for long, or ended without an event.
        """
        if request is not None:
            return RunsTold(thread=thread, runs=[], after=None, run=await asking.run(node, thread, request))
        found = await asking.runs(node, thread, after, _RUNS_MAX)
        return RunsTold(thread=thread, runs=found.runs, after=found.after)
