"""The life of a step, of its run and of a node: moves that the tables do not list are refused; which row a message has.

The tables are in `transitions`, and `lifecycle.toml` is what they are written from.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TypeVar

from relmachine.errors import Code, RelmError
from relmachine.kernel.control import CLOSE, RECORDS
from relmachine.kernel.transitions import (
    NODE_MOVES,
    RUN_MOVES,
    STEP_FIRST,
    STEP_LAST,
    STEP_MOVES,
    NodePhase,
    RecordName,
    RunPhase,
    StepPhase,
)

_Phase = TypeVar("_Phase", StepPhase, RunPhase, NodePhase)


def move_node(now: NodePhase, to: NodePhase) -> NodePhase:
    """`to`, when the table lists it. Errors: `internal` with both phases, since only a bug asks for another move."""
    return _moved("node", NODE_MOVES, now, to)


def move_run(now: RunPhase, to: RunPhase) -> RunPhase:
    """The same for a run of a step outside its turn."""
    return _moved("run", RUN_MOVES, now, to)


def path(*phases: StepPhase) -> str:
    """A whole life as stored, e.g. `OPEN>ACTIVE>COMMIT>CLOSE`.

    Errors: `internal` for a move that is not listed, and for a life that does not go from the first phase to the last.
    """
    if not phases or (phases[0], phases[-1]) != (STEP_FIRST, STEP_LAST):
        raise RelmError(Code.INTERNAL, f"a step goes from {STEP_FIRST} to {STEP_LAST}", phases=list(phases))
    for now, to in pairwise(phases):
        _moved("step", STEP_MOVES, now, to)
    return ">".join(phases)


def turn_name(step: str) -> RecordName:
    """The row of the tables for a message with the step token `step`, which has a turn."""
    if step not in RECORDS:
        return RecordName.STEP
    return RecordName.CLOSE_INTO if step == CLOSE else RecordName(step.removeprefix("_"))


def _moved(what: str, moves: Mapping[_Phase, frozenset[_Phase]], now: _Phase, to: _Phase) -> _Phase:
    if to not in moves[now]:
        raise RelmError(Code.INTERNAL, f"a {what} cannot go from {now} to {to}", now=now, to=to)
    return to


COMMITTED = path(StepPhase.OPEN, StepPhase.ACTIVE, StepPhase.COMMIT, StepPhase.CLOSE)
"""The life of a committed step."""

ABORTED = path(StepPhase.OPEN, StepPhase.ACTIVE, StepPhase.ABORT, StepPhase.CLOSE)
"""The life of a step whose run or output was refused."""

REFUSED = ""
"""The life of a step refused before OPEN: none."""
