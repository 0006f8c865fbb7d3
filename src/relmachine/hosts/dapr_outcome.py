"""What crosses the sidecars: a hint one way, a committed cursor or a coded failure the other way.

Failures are values here: an exception would cross as its `repr` in an error of the transport, and a caller could not
tell a store that is away from a sidecar that is.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from relmachine.errors import Code, RelmError
from relmachine.hosts.parking import LONGEST_SECONDS


class _Answer(BaseModel):
    """Members that a later version adds are passed over, so that nodes can be replaced one by one."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Advanced(_Answer):
    """The thread's turns ran; `cursor` is committed."""

    cursor: int


class Failed(_Answer):
    """No turn could be run, or none ended in time; the hint goes back."""

    code: Code
    sentence: str
    resting_seconds: float = Field(default=0.0, ge=0.0, le=LONGEST_SECONDS)
    """See `Host.resting`."""


Outcome = Advanced | Failed

_HINT: TypeAdapter[int] = TypeAdapter(int)
_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def encode_hint(hint: int) -> bytes:
    """The body of a call: the stream sequence as a JSON number."""
    return b"%d" % hint


def decode_hint(body: bytes) -> int:
    """The stream sequence in a call's body. Errors: `not_json` when it is anything else."""
    try:
        return _HINT.validate_json(body, strict=True)
    except ValidationError as error:
        raise RelmError(Code.NOT_JSON, "call with a stream sequence, as one JSON number") from error


def encode_outcome(outcome: Outcome) -> bytes:
    """The answer to a call."""
    return outcome.model_dump_json().encode()


def decode_outcome(body: bytes) -> Outcome:
    """The answer to a call; one that cannot be read is a failure like any other, not an exception."""
    try:
        return _OUTCOME.validate_json(body)
    except ValidationError:
        text = body[:200].decode("utf-8", "replace")
        return Failed(code=Code.UNREACHABLE, sentence=f"a node died answering, or is of another version: {text!r}")
