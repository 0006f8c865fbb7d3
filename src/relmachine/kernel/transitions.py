"""The life of steps, runs, nodes and threads, as tables. Written by `make tables` from `lifecycle.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from relmachine.errors import Code
from relmachine.kernel.answer import Reason


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


class RunPhase(StrEnum):
    """Phases of a step's run outside its turn; the last ones are why it ended."""

    OPENED = "opened"
    RUNNING = "running"
    ANSWERED = "answered"
    DONE = "done"
    CAP = "cap"
    FATAL = "fatal"
    NO_PROGRESS = "no_progress"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    OVERTAKEN = "overtaken"


class Verdict(StrEnum):
    """What is said to a message before its step is open."""

    ADMIT = "admit"
    REJECT = "reject"
    DEFER = "defer"


class Lane(StrEnum):
    """Lanes of messages: what is first here goes first."""

    CONTROL = "control"
    DATA = "data"
    TELEMETRY = "telemetry"


class Standing(StrEnum):
    """Where a thread stands."""

    OPEN = "open"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class RecordName(StrEnum):
    """What comes to a thread: records of the control lane, steps, and records that have a turn."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"
    BUDGET = "budget"
    STEP = "step"
    FORK = "fork"
    MERGE = "merge"
    CLOSE_INTO = "close_into"
    RESOLVE = "resolve"
    ANSWER = "answer"
    RELEASE = "release"


class Does(StrEnum):
    """What becomes of a record."""

    APPLIED = "applied"
    REFUSED = "refused"
    NO_EFFECT = "no_effect"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class End:
    """What a run's reason makes of its step: its terminal, None when the step runs again. `code` is that of an aborted
    step; of one that ran again, once no attempt is left."""

    terminal: StepPhase | None
    code: Code | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a verdict leads to: None where no life begins. `again` when the message is asked about again."""

    leads_to: StepPhase | None
    again: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What a record does to a thread, with the code of a refusal and the thread's standing after it."""

    does: Does
    code: Code | None
    leads_to: Standing


STEP_MOVES: Mapping[StepPhase, frozenset[StepPhase]] = MappingProxyType(
    {
        StepPhase.OPEN: frozenset({StepPhase.ACTIVE}),
        StepPhase.ACTIVE: frozenset({StepPhase.COMMIT, StepPhase.ABORT}),
        StepPhase.COMMIT: frozenset({StepPhase.CLOSE}),
        StepPhase.ABORT: frozenset({StepPhase.CLOSE}),
        StepPhase.CLOSE: frozenset[StepPhase](),
    }
)
NODE_MOVES: Mapping[NodePhase, frozenset[NodePhase]] = MappingProxyType(
    {
        NodePhase.BOOTING: frozenset({NodePhase.READY, NodePhase.CLOSING}),
        NodePhase.READY: frozenset({NodePhase.WORKING, NodePhase.CLOSING}),
        NodePhase.WORKING: frozenset({NodePhase.READY, NodePhase.CHECKPOINTING, NodePhase.CLOSING}),
        NodePhase.CHECKPOINTING: frozenset({NodePhase.READY, NodePhase.WORKING, NodePhase.CLOSING}),
        NodePhase.CLOSING: frozenset[NodePhase](),
    }
)
RUN_MOVES: Mapping[RunPhase, frozenset[RunPhase]] = MappingProxyType(
    {
        RunPhase.OPENED: frozenset({RunPhase.RUNNING, RunPhase.CANCELLED}),
        RunPhase.RUNNING: frozenset({RunPhase.ANSWERED, RunPhase.CANCELLED}),
        RunPhase.ANSWERED: frozenset(
            {
                RunPhase.DONE,
                RunPhase.CAP,
                RunPhase.FATAL,
                RunPhase.NO_PROGRESS,
                RunPhase.CANCELLED,
                RunPhase.BUDGET,
                RunPhase.OVERTAKEN,
            }
        ),
        RunPhase.DONE: frozenset[RunPhase](),
        RunPhase.CAP: frozenset[RunPhase](),
        RunPhase.FATAL: frozenset[RunPhase](),
        RunPhase.NO_PROGRESS: frozenset[RunPhase](),
        RunPhase.CANCELLED: frozenset[RunPhase](),
        RunPhase.BUDGET: frozenset[RunPhase](),
        RunPhase.OVERTAKEN: frozenset({RunPhase.RUNNING}),
    }
)
TERMINALS = frozenset({StepPhase.COMMIT, StepPhase.ABORT})
STEP_FIRST, STEP_LAST = StepPhase.OPEN, StepPhase.CLOSE
ENDS: Mapping[Reason, End] = MappingProxyType(
    {
        Reason.DONE: End(StepPhase.COMMIT, None),
        Reason.CAP: End(StepPhase.ABORT, Code.RUN_CAP),
        Reason.FATAL: End(StepPhase.ABORT, Code.RUN_FAILED),
        Reason.NO_PROGRESS: End(StepPhase.ABORT, Code.RUN_STUCK),
        Reason.CANCELLED: End(StepPhase.ABORT, Code.RUN_CANCELLED),
        Reason.BUDGET: End(StepPhase.ABORT, Code.BUDGET_SPENT),
        Reason.OVERTAKEN: End(None, Code.RUN_OVERTAKEN),
    }
)
OPENINGS: Mapping[Verdict, Opening] = MappingProxyType(
    {
        Verdict.ADMIT: Opening(StepPhase.OPEN, False),
        Verdict.REJECT: Opening(None, False),
        Verdict.DEFER: Opening(None, True),
    }
)
LANES: Mapping[Lane, frozenset[Verdict]] = MappingProxyType(
    {
        Lane.CONTROL: frozenset({Verdict.ADMIT, Verdict.REJECT}),
        Lane.DATA: frozenset({Verdict.ADMIT, Verdict.REJECT, Verdict.DEFER}),
        Lane.TELEMETRY: frozenset[Verdict](),
    }
)
EFFECTS: Mapping[Standing, Mapping[RecordName, Effect]] = MappingProxyType(
    {
        Standing.OPEN: MappingProxyType(
            {
                RecordName.CANCEL: Effect(Does.APPLIED, None, Standing.CANCELLED),
                RecordName.PAUSE: Effect(Does.APPLIED, None, Standing.PAUSED),
                RecordName.RESUME: Effect(Does.NO_EFFECT, None, Standing.OPEN),
                RecordName.CLOSE: Effect(Does.APPLIED, None, Standing.CLOSED),
                RecordName.BUDGET: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.STEP: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.FORK: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.MERGE: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.CLOSE_INTO: Effect(Does.APPLIED, None, Standing.CLOSED),
                RecordName.RESOLVE: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.ANSWER: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.RELEASE: Effect(Does.APPLIED, None, Standing.OPEN),
            }
        ),
        Standing.PAUSED: MappingProxyType(
            {
                RecordName.CANCEL: Effect(Does.APPLIED, None, Standing.CANCELLED),
                RecordName.PAUSE: Effect(Does.NO_EFFECT, None, Standing.PAUSED),
                RecordName.RESUME: Effect(Does.APPLIED, None, Standing.OPEN),
                RecordName.CLOSE: Effect(Does.APPLIED, None, Standing.CLOSED),
                RecordName.BUDGET: Effect(Does.APPLIED, None, Standing.PAUSED),
                RecordName.STEP: Effect(Does.WAITS, None, Standing.PAUSED),
                RecordName.FORK: Effect(Does.WAITS, None, Standing.PAUSED),
                RecordName.MERGE: Effect(Does.WAITS, None, Standing.PAUSED),
                RecordName.CLOSE_INTO: Effect(Does.WAITS, None, Standing.PAUSED),
                RecordName.RESOLVE: Effect(Does.WAITS, None, Standing.PAUSED),
                RecordName.ANSWER: Effect(Does.WAITS, None, Standing.PAUSED),
                RecordName.RELEASE: Effect(Does.WAITS, None, Standing.PAUSED),
            }
        ),
        Standing.CANCELLED: MappingProxyType(
            {
                RecordName.CANCEL: Effect(Does.NO_EFFECT, None, Standing.CANCELLED),
                RecordName.PAUSE: Effect(Does.NO_EFFECT, None, Standing.CANCELLED),
                RecordName.RESUME: Effect(Does.NO_EFFECT, None, Standing.CANCELLED),
                RecordName.CLOSE: Effect(Does.NO_EFFECT, None, Standing.CANCELLED),
                RecordName.BUDGET: Effect(Does.NO_EFFECT, None, Standing.CANCELLED),
                RecordName.STEP: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
                RecordName.FORK: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
                RecordName.MERGE: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
                RecordName.CLOSE_INTO: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
                RecordName.RESOLVE: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
                RecordName.ANSWER: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
                RecordName.RELEASE: Effect(Does.REFUSED, Code.THREAD_CANCELLED, Standing.CANCELLED),
            }
        ),
        Standing.CLOSED: MappingProxyType(
            {
                RecordName.CANCEL: Effect(Does.APPLIED, None, Standing.CANCELLED),
                RecordName.PAUSE: Effect(Does.NO_EFFECT, None, Standing.CLOSED),
                RecordName.RESUME: Effect(Does.NO_EFFECT, None, Standing.CLOSED),
                RecordName.CLOSE: Effect(Does.NO_EFFECT, None, Standing.CLOSED),
                RecordName.BUDGET: Effect(Does.NO_EFFECT, None, Standing.CLOSED),
                RecordName.STEP: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
                RecordName.FORK: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
                RecordName.MERGE: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
                RecordName.CLOSE_INTO: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
                RecordName.RESOLVE: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
                RecordName.ANSWER: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
                RecordName.RELEASE: Effect(Does.REFUSED, Code.THREAD_CLOSED, Standing.CLOSED),
            }
        ),
    }
)
