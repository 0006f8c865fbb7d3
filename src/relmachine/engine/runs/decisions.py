"""What came of asking, and how it is written down as a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from relmachine.algebra.identity import digest
from relmachine.kernel.answer import Decision

DecisionKind = Literal["model", "tool", "time", "id"]

ERROR_CHARACTERS_MAX = 1000
"""What a decision takes of an error."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of asking: the JSON text of a value, or what went wrong, `code: sentence`."""

    value: str = ""
    error: str = ""
    tokens: int = 0
    cost: float = 0.0


def json_bytes(record: BaseModel) -> int:
    """How large a record is in its message."""
    return len(record.model_dump_json().encode())


def seal_of(decision: Decision) -> str:
    """Digest of all else that a decision says."""
    spent = (str(decision.tokens), repr(decision.cost))
    return digest("seal", decision.kind, decision.name, decision.asked, decision.value, decision.error, *spent)


def decision_of(kind: DecisionKind, name: str, asked: str, found: Found) -> Decision:
    """`found` in the form that is kept, sealed."""
    error = found.error[:ERROR_CHARACTERS_MAX]
    made = Decision(
        kind=kind, name=name, asked=asked, value=found.value, error=error, tokens=found.tokens, cost=found.cost
    )
    return made.model_copy(update={"seal": seal_of(made)})
