"""Publishing one step and telling what became of it, the same for HTTP and MCP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.kernel.verdicts import Refused
from relmachine.observe.answers import StepAccepted, StepCommitted, StepRefused, Transition, answer
from relmachine.observe.port import NodeView
from relmachine.store import reading


async def submit_one(node: NodeView, thread: str, body: Callable[[], Awaitable[bytes]]) -> StepAccepted | StepRefused:
    """Publish the CloudEvent that `body` gives on `thread`; it is not asked for while the door is shut.

    Errors as in `NodeView.entering` and `NodeView.submit`.
    """
    async with node.entering():
        (said,) = await node.submit(thread, [await body()])
    return _early(said) if isinstance(said, Refused) else answer(StepAccepted, said)


async def settled_of(node: NodeView, accepted: StepAccepted, seconds: float) -> StepCommitted | StepRefused | None:
    """What became of a step that was just accepted; None when nobody can wait for that here now, or not so long."""
    try:
        return await outcome_of(node, accepted.thread, accepted.sequence, seconds, repeated=accepted.duplicate)
    except RelmError as error:
        if error.code is not Code.OVERLOADED:
            raise
        return None  # the step is on the stream: an error would say that it is not


async def outcome_of(
    node: NodeView, thread: str, sequence: int, seconds: float, *, repeated: bool = False
) -> StepCommitted | StepRefused | None:
    """What became of a stream sequence of the thread, or None when that is not decided within `seconds`.

    A step that repeats an earlier one has the earlier one's outcome. `repeated` when that is known already.
    """
    outcome = await node.outcome(thread, sequence, seconds)
    if outcome is not None and outcome["outcome"] == "repeated":
        sequence, repeated = cast(int, outcome["sequence"]), True
        outcome = await reading.outcome_at(node.store, thread, sequence)
    if outcome is None:
        return None
    if outcome["outcome"] == "refused":
        return await _refused(node, thread, sequence, repeated=repeated)
    return await _committed(node, thread, sequence, outcome, repeated=repeated)


def _early(refused: Refused) -> StepRefused:
    """What a gate said before the step reached the stream: it has no sequence and left no trace."""
    refusal = refused.refusal
    return StepRefused(
        code=refusal.code,
        sentence=refusal.sentence,
        witness=dict(refusal.witness),
        gate=refusal.gate,
        thread=refused.candidate.thread,
        sequence=None,
    )


async def _refused(node: NodeView, thread: str, sequence: int, *, repeated: bool) -> StepRefused:
    row = await reading.rejection(node.store, thread, sequence)
    return StepRefused(
        code=Code(row.code),
        sentence=row.sentence,
        witness=dict(row.witness),
        gate=row.gate,
        thread=thread,
        sequence=sequence,
        repeated=repeated,
    )


async def _committed(
    node: NodeView, thread: str, sequence: int, outcome: Mapping[str, object], *, repeated: bool
) -> StepCommitted:
    changes = await reading.transitions_at(node.store, thread, sequence)
    return StepCommitted(
        thread=thread,
        sequence=sequence,
        repeated=repeated,
        event=cast(str, outcome["event"]),
        history=cast(str, outcome["history"]),
        transitions=[answer(Transition, change) for change in changes],
    )
