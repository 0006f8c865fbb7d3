"""Publishing one step and telling what became of it, the same for HTTP and MCP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.verdicts import Refused
from relmachine.observe.answers import (
    RecordApplied,
    StepAccepted,
    StepCommitted,
    StepHeld,
    StepOpened,
    StepRefused,
    Transition,
    answer,
)
from relmachine.observe.port import NodeView
from relmachine.store import reading

Outcome = StepCommitted | StepOpened | StepHeld | RecordApplied | StepRefused
"""What became of a step or a control record, as far as it has come."""


async def submit_one(node: NodeView, thread: str, body: Callable[[], Awaitable[bytes]]) -> StepAccepted | StepRefused:
    """Publish the CloudEvent that `body` gives on `thread`; it is not asked for while the door is shut.

    Errors as in `NodeView.entering` and `NodeView.submit`.
    """
    async with node.entering():
        (said,) = await node.submit(thread, [await body()])
    return early_refusal(said) if isinstance(said, Refused) else answer(StepAccepted, said)


async def settled_of(node: NodeView, accepted: StepAccepted, seconds: float) -> Outcome | None:
    """What became of what was just accepted; None when nobody can wait for that here now, or not so long."""
    try:
        return await outcome_of(
            node, accepted.thread, accepted.sequence, seconds, repeated=accepted.duplicate, key=accepted.key
        )
    except RelmError as error:
        if error.code is not Code.OVERLOADED:
            raise
        return None  # the step is on the stream: an error would say that it is not


async def outcome_of(
    node: NodeView, thread: str, sequence: int, seconds: float, *, repeated: bool = False, key: str = ""
) -> Outcome | None:
    """What became of a stream sequence of the thread, or None when that is not decided within `seconds`.

    A step that repeats an earlier one has the earlier one's outcome. `repeated` when that is known already; `key` then
    says which step is meant where one record brought many.
    """
    recorded = await reading.receipt(node.store, thread, key) if repeated and key else None
    if recorded is not None:
        outcome: Mapping[str, object] | None = {"outcome": "repeated", "sequence": sequence, "key": key}
    else:
        outcome = await node.outcome(thread, sequence, seconds)
    if outcome is not None and outcome["outcome"] == "repeated":
        sequence, repeated = cast(int, outcome["sequence"]), True
        # By its key: a fork or a merge brings many steps at one sequence.
        first = await reading.receipt(node.store, thread, cast(str, outcome["key"]))
        outcome = None if first is None else cast("dict[str, object]", orjson.loads(first.outcome))
        if outcome is not None and outcome["outcome"] in ("opened", "held"):
            outcome = await node.outcome(thread, sequence, seconds)
    if outcome is None:
        return None
    # A step that ran outside its turn, or was held, has its outcome at the sequence of the record that ended that.
    sequence = cast(int, outcome["sequence"])
    if outcome["outcome"] == "opened":
        return StepOpened(thread=thread, sequence=sequence, repeated=repeated)
    if outcome["outcome"] == "held":
        return await _held(node, thread, sequence, repeated=repeated)
    if outcome["outcome"] == "refused":
        return await _refused(node, thread, sequence, repeated=repeated)
    if outcome["outcome"] == "applied":
        return await _applied(node, thread, sequence, outcome, repeated=repeated)
    return await _committed(node, thread, sequence, outcome, repeated=repeated)


def early_refusal(refused: Refused) -> StepRefused:
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


async def _held(node: NodeView, thread: str, sequence: int, *, repeated: bool) -> StepHeld:
    missing = list(await reading.missing_at(node.store, thread, sequence))
    return StepHeld(thread=thread, sequence=sequence, repeated=repeated, missing=missing)


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


async def _applied(
    node: NodeView, thread: str, sequence: int, outcome: Mapping[str, object], *, repeated: bool
) -> RecordApplied:
    known = ("outcome", "record", "sequence", "history")
    changes = await reading.transitions_at(node.store, thread, sequence)
    return RecordApplied(
        record=cast(str, outcome["record"]),
        thread=thread,
        sequence=sequence,
        repeated=repeated,
        history=cast(str, outcome["history"]),
        details={name: value for name, value in outcome.items() if name not in known},
        transitions=[answer(Transition, change) for change in changes],
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
