"""Where the next event of a history goes, found with masks over step types instead of a walk over the history.

Source: `docs/math.md` section 1. For every step type only its *last* event matters: events of one type depend on each
other, so all earlier ones lie below it. The cost of an event is at most the number of step types, whatever the length
of the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from relmachine.algebra.posets import bits


class LastEvent(NamedTuple):
    """The last event of one step type; `past` masks the types whose last event lies at or below it."""

    event_id: str
    tier: int
    past: int


class Place(NamedTuple):
    """Where an event of type `step` goes: its covering predecessors' ids sorted, its tier from 1, and what is below.

    `covers` masks the step types whose last events are the predecessors, `below` all types whose last event will lie
    below it.
    """

    step: int
    covers: int
    parents: tuple[str, ...]
    tier: int
    below: int


class Frontier:
    """The last events of a history and which of them are maximal; grows by one event at a time.

    `dependent[i]` is the mask of the step types that step type `i` depends on, always with bit `i`. `lasts` maps a
    step type to its last event, `maximal` masks the step types whose last event is maximal, `tier` is the highest
    tier. The mapping given is copied: states that share it stay as they were.
    """

    __slots__ = ("dependent", "lasts", "maximal", "tier")

    def __init__(
        self, dependent: Sequence[int], lasts: Mapping[int, LastEvent] | None = None, maximal: int = 0, tier: int = 0
    ) -> None:
        self.dependent = dependent
        self.lasts: dict[int, LastEvent] = dict(lasts or {})
        self.maximal = maximal
        self.tier = tier

    def place(self, step: int) -> Place:
        """Where the next event of type `step` goes. Changes nothing: its id needs the place first."""
        lasts, dependent = self.lasts, self.dependent[step]
        present = below = hidden = 0
        for index, (_, _, past) in lasts.items():
            if dependent >> index & 1:
                bit = 1 << index
                present |= bit
                below |= past
                hidden |= past ^ bit
        covers = present & ~hidden
        parents: list[str] = []
        tier = 0
        for index in bits(covers):
            event_id, reached, _ = lasts[index]
            parents.append(event_id)
            tier = max(tier, reached)
        parents.sort()
        return Place(step, covers, tuple(parents), tier + 1, below)

    def push(self, place: Place, event_id: str) -> None:
        """Append the event that `place` was found for; it is now the last of its type, and maximal."""
        step, bit = place.step, 1 << place.step
        for index, (other_id, tier, past) in self.lasts.items():
            # The event this one follows is no longer a last event: no other last event lies above the new one yet.
            if past & bit:
                self.lasts[index] = LastEvent(other_id, tier, past ^ bit)
        self.lasts[step] = LastEvent(event_id, place.tier, place.below | bit)
        self.maximal = self.maximal & ~self.dependent[step] | bit
        self.tier = max(self.tier, place.tier)

    def maximal_ids(self) -> list[str]:
        """Ids of the maximal events, sorted: what the history id is made of."""
        return sorted(self.lasts[index].event_id for index in bits(self.maximal))
