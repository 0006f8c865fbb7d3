"""What came of a step that ran outside its turn, as the control record `_answer` on its thread: the whole run.

A model is asked once. Everything that a run saw stands in its answer, so a rebuild, a playback and an audit need nobody
else. Values are JSON texts inside JSON: numbers and key orders come back exactly as they were.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from relmachine.kernel.record import Record

_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Sequence = Annotated[int, Field(ge=1, lt=2**63)]
_Name = Annotated[str, Field(min_length=1, max_length=256)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Reason(StrEnum):
    """Why a run ended. `overtaken` is the only one after which the step may run again."""

    DONE = "done"
    CAP = "cap"
    FATAL = "fatal"
    NO_PROGRESS = "no_progress"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    OVERTAKEN = "overtaken"


class Decision(Record):
    """One thing that the run saw and that it could not know beforehand.

    `asked` is the digest of what was asked (`algebra.identity.digest("asked", …)`), `value` the JSON text of what came,
    empty when `error` says what came instead. `tokens` and `cost` (US dollars) are a model's. `seal` is the digest of
    all the rest, so that an edit of any of it shows where it was made.
    """

    kind: Literal["model", "tool", "time", "id"]
    name: Annotated[str, Field(max_length=256)] = ""
    asked: _Digest
    value: str = ""
    error: Annotated[str, Field(max_length=1000)] = ""
    tokens: _Count = 0
    cost: Annotated[float, Field(ge=0)] = 0.0
    seal: Annotated[str, Field(max_length=64)] = ""


class Pass(Record):
    """One pass of the loop: what was decided, the tools that were called with what, and what they gave.

    `decision` is `answer` (a valid output), `call` (tools), `retry` (what came was not valid and went back) or `fail`.
    `state` is the digest of everything found so far: a pass that found nothing new leaves it as it was.
    """

    number: _Count
    decision: Literal["answer", "call", "retry", "fail"]
    tool: str = ""
    input: str = ""
    output: str = ""
    error: str = ""
    state: _Digest


class FollowUp(Record):
    """A step that the run proposes for its own thread. `data` is the JSON text of the payload."""

    step: _Name
    data: str = "{}"


class Usage(Record):
    """What the run spent."""

    model_calls: _Count = 0
    tool_calls: _Count = 0
    tokens: _Count = 0
    cost: Annotated[float, Field(ge=0)] = 0.0
    seconds: Annotated[float, Field(ge=0)] = 0.0


class Failure(Record):
    """Why there is no output. `witness` is JSON text."""

    code: _Name
    sentence: Annotated[str, Field(max_length=1000)]
    witness: Annotated[str, Field(max_length=4000)] = "{}"


class Answer(Record):
    """The end of attempt `attempt` of the step published at stream sequence `request` of the same thread.

    `contributions` maps fields to canonical JSON texts; they count when `reason` is `done`. `plan` is the text of the
    frozen plan that the run went by.
    """

    request: _Sequence
    attempt: Annotated[int, Field(ge=1, lt=1000)]
    reason: Reason
    contributions: dict[str, str] = Field(default_factory=dict[str, str])
    follow_ups: tuple[FollowUp, ...] = ()
    failure: Failure | None = None
    plan: str = "{}"
    decisions: tuple[Decision, ...] = ()
    passes: tuple[Pass, ...] = ()
    usage: Usage = Usage()
