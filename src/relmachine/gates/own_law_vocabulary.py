"""The words of laws of the author's own: the predicates that the facts of a case have. `docs/own-laws.md` has them all.

An event is a term: `this` the step being judged, `e("check",2)` the second event of step `check` in the thread. Both
are the same whatever the order of steps that commute, which a place in the thread or a time would not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Argument(StrEnum):
    """What stands at a place of a predicate."""

    EVENT = "event"
    STEP = "step"
    CLAIM = "claim"
    READ_CLAIM = "read claim"
    FIELD = "field"
    TEXT = "text"
    VALUE = "value"

    @property
    def is_name(self) -> bool:
        """Whether the machine's names stand here, as texts."""
        return self in (Argument.STEP, Argument.CLAIM, Argument.READ_CLAIM, Argument.FIELD)


VOCABULARY: Mapping[str, tuple[Argument, ...]] = {
    "candidate": (Argument.EVENT,),
    "event": (Argument.EVENT,),
    "step": (Argument.EVENT, Argument.STEP),
    "parent": (Argument.EVENT, Argument.EVENT),
    "principal": (Argument.EVENT, Argument.TEXT),
    "value": (Argument.EVENT, Argument.FIELD, Argument.VALUE),
    "asserts": (Argument.EVENT, Argument.CLAIM),
    "contests": (Argument.EVENT, Argument.CLAIM),
    "vetoes": (Argument.EVENT, Argument.CLAIM),
    "asserted": (Argument.READ_CLAIM,),
    "contested": (Argument.READ_CLAIM,),
    "vetoed": (Argument.READ_CLAIM,),
    "effective": (Argument.READ_CLAIM,),
}
"""Every predicate that facts have, with what stands at its places."""

OF_EVENTS = frozenset(("event", "step", "parent", "principal", "value", "asserts", "contests", "vetoes"))
"""Predicates that speak of earlier events. A law without them needs nothing but the thread's state."""

VIOLATION = "violation"
"""What a law derives, with any number of arguments: the witness."""

THIS = "this"
"""The step being judged."""
