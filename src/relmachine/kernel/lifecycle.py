"""The life of a step and of a node, as tables: whatever is not listed is refused.

A step is refused before OPEN and then never has a terminal; once OPEN it gets exactly one, COMMIT or ABORT.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise

from relmachine.errors import Code, RelmError


class StepPhase(StrEnum):
    """Phases of one step."""

    OPEN = "OPEN"
    ACTIVE = "ACTIVE"
    COMMIT = "COMMIT"
    ABORT = "ABORT"
    CLOSE = "CLOSE"


class NodePhase(StrEnum):
    """Phases of one node."""

    BOOTING = "BOOTING"
    READY = "READY"
    WORKING = "WORKING"
    CHECKPOINTING = "CHECKPOINTING"
    CLOSING = "CLOSING"


STEP_MOVES = {
    StepPhase.OPEN: {StepPhase.ACTIVE},
    StepPhase.ACTIVE: {StepPhase.COMMIT, StepPhase.ABORT},
    StepPhase.COMMIT: {StepPhase.CLOSE},
    StepPhase.ABORT: {StepPhase.CLOSE},
    StepPhase.CLOSE: set[StepPhase](),
}

NODE_MOVES = {
    NodePhase.BOOTING: {NodePhase.READY, NodePhase.CLOSING},
    NodePhase.READY: {NodePhase.WORKING, NodePhase.CLOSING},
    NodePhase.WORKING: {NodePhase.READY, NodePhase.CHECKPOINTING, NodePhase.CLOSING},
    NodePhase.CHECKPOINTING: {NodePhase.READY, NodePhase.WORKING, NodePhase.CLOSING},
    NodePhase.CLOSING: set[NodePhase](),
}


def move_node(now: NodePhase, to: NodePhase) -> NodePhase:
    """`to`, when the table lists it. Errors: `internal` with both phases, since only a bug asks for another move."""
    if to not in NODE_MOVES[now]:
        raise RelmError(Code.INTERNAL, f"a node cannot go from {now} to {to}", now=now, to=to)
    return to


def path(*phases: StepPhase) -> str:
    """The phases as stored, e.g. `OPEN>ACTIVE>COMMIT>CLOSE`. Errors: `internal` for a move that is not listed."""
    for now, to in pairwise(phases):
        if to not in STEP_MOVES[now]:
            raise RelmError(Code.INTERNAL, f"a step cannot go from {now} to {to}", now=now, to=to)
    return ">".join(phases)


COMMITTED = path(StepPhase.OPEN, StepPhase.ACTIVE, StepPhase.COMMIT, StepPhase.CLOSE)
"""The life of a committed step."""

ABORTED = path(StepPhase.OPEN, StepPhase.ACTIVE, StepPhase.ABORT, StepPhase.CLOSE)
"""The life of a step whose run or output was refused."""

REFUSED = ""
"""The life of a step refused before OPEN: none."""
