"""What came of a step that ran outside its turn, as the control record `_answer` on its thread: the whole run.

Everything that a run saw stands in its answer, and the first answer on the stream counts: a rebuild, a playback and an
audit ask nobody, however often a model was asked while the step ran. Values are JSON texts inside JSON: numbers and key
orders come back exactly as they were.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, Field

from relmachine.errors import RelmError
from relmachine.kernel.record import Record
from relmachine.machine.canonical import canonical

FOLLOW_UPS_MAX = 32
"""Steps that one step may propose. More is a loop that does not end, not a decision."""

FOLLOW_UP_BYTES_MAX = 64 * 1024
"""Bytes of a payload that a step proposes: it has to pass gate 1 with its envelope, or nobody would hear of it."""

RUN_SOURCE = "relm:run"
"""CloudEvents source of answers."""

_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Sequence = Annotated[int, Field(ge=1, lt=2**63)]
_Name = Annotated[str, Field(min_length=1, max_length=256)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _json(text: str) -> str:
    """A text that is read again where nothing may fail."""
    orjson.loads(text)
    return text


def _payload(text: str) -> str:
    """What can travel as a payload."""
    if len(text.encode()) > FOLLOW_UP_BYTES_MAX:
        raise ValueError(f"a proposed payload has at most {FOLLOW_UP_BYTES_MAX} bytes")
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise ValueError("a proposed payload is a JSON object")
    try:
        canonical(value)  # pyright: ignore[reportUnknownArgumentType]
    except RelmError as error:
        raise ValueError(error.sentence) from error
    return text


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


def _numbered(passes: tuple[Pass, ...]) -> tuple[Pass, ...]:
    """Each has a number of its own, which is its place in the store."""
    if any(one.number >= other.number for one, other in pairwise(passes)):
        raise ValueError("passes come in the order of their numbers")
    return passes


class FollowUp(Record):
    """A step that the run proposes for its own thread. `data` is the JSON text of the payload."""

    step: _Name
    data: Annotated[str, AfterValidator(_payload)] = "{}"


class Usage(Record):
    """What the run spent. `seconds` and `solver_seconds` are those of the life that ended it."""

    model_calls: _Count = 0
    tool_calls: _Count = 0
    tokens: _Count = 0
    cost: Annotated[float, Field(ge=0)] = 0.0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    solver_seconds: Annotated[float, Field(ge=0)] = 0.0


class Failure(Record):
    """Why there is no output. `witness` is JSON text."""

    code: _Name
    sentence: Annotated[str, Field(max_length=1000)]
    witness: Annotated[str, Field(max_length=4000), AfterValidator(_json)] = "{}"


class Answer(Record):
    """The end of attempt `attempt` of the step published at stream sequence `request` of the same thread.

    `contributions` maps fields to canonical JSON texts; they count when `reason` is `done`. `plan` is the text of the
    frozen plan that the run went by, which a node that opens the run again, from the stream, need not have. What a turn
    or the store reads out of texts is looked at here, at gate 1, where a message may still be refused.
    """

    request: _Sequence
    attempt: Annotated[int, Field(ge=1, lt=1000)]
    reason: Reason
    contributions: dict[str, str] = Field(default_factory=dict[str, str])
    follow_ups: Annotated[tuple[FollowUp, ...], Field(max_length=FOLLOW_UPS_MAX)] = ()
    failure: Failure | None = None
    plan: str = "{}"
    decisions: tuple[Decision, ...] = ()
    passes: Annotated[tuple[Pass, ...], AfterValidator(_numbered)] = ()
    usage: Usage = Usage()
