"""What can become of a step before it is committed, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relmachine.errors import Code
from relmachine.kernel.answer import FollowUp
from relmachine.kernel.candidate import Candidate, Contributions


class GateName(StrEnum):
    """Who refused, in the order asked."""

    SHAPE = "shape"
    POLICY = "policy"
    LAWS = "laws"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step is not admitted: the code, the gate, a sentence that says what to do, and the witness."""

    code: Code
    gate: GateName
    sentence: str
    witness: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Admitted:
    """A step that passed every gate, with its contributions and the steps that it proposes for its thread."""

    candidate: Candidate
    contributions: Contributions
    follow_ups: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A step that some gate refused. `keyed` is False when its step key already belongs to another step."""

    candidate: Candidate
    refusal: Refusal
    keyed: bool = True


@dataclass(frozen=True, slots=True)
class Held:
    """A step that waits for claims that it needs: nothing else speaks against it. It changes nothing of the history."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Repeated:
    """A step published again under its key: `sequence` is where it was first seen. It changes nothing."""

    candidate: Candidate
    sequence: int


Decided = Admitted | Refused | Held | Repeated
