"""What verification finds wrong, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from relmachine.errors import Code

_SENTENCE = "restore the store from a copy, or rebuild it from the stream"
_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing found wrong: where, which column or rule, what is stored and what it should be.

    `event_id` is the stored one; it is empty for a refused step and where no event is concerned. `code` and `sentence`
    are those of gate 3 for an event that it does not admit, else `store_damaged`.
    """

    thread: str
    sequence: int
    event_id: str
    differs: str
    stored: str
    computed: str
    code: Code = Code.STORE_DAMAGED
    sentence: str = _SENTENCE


def elsewhere(differs: str, stored: object = "", computed: object = "") -> Fault:
    """A fault that concerns no thread."""
    return Fault("", 0, "", differs, shown(stored), shown(computed))


def shown(value: object) -> str:
    """`value` as text of bounded length, that any terminal and any JSON can carry."""
    text = str(value).encode(errors="backslashreplace").decode()
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"


def reason(error: Exception) -> str:
    """Why damaged rows could not be computed with."""
    return shown(f"{type(error).__name__}: {error}")
