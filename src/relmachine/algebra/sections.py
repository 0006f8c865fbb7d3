"""Sections: what the events of a history wrote.

Source: `docs/math.md` section 3. A section never holds folded values, only contributions keyed by (event id, field):
that is why it can only grow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relmachine.algebra.reducers import Folded, Scalar, fold, parse


@dataclass(frozen=True, slots=True)
class Section:
    """A section over `events`: the canonical text of each value they contributed, by (event id, field)."""

    events: frozenset[str]
    contributions: Mapping[tuple[str, str], str]


def values(section: Section, reducers: Mapping[str, str], order: Sequence[str]) -> dict[str, Folded]:
    """The value of every field with a contribution: its contributions in `order` of events, folded by its reducer.

    `order` names each contributing event once, after its past (`History.order`, or the order of arrival).
    """
    written: dict[str, dict[str, Scalar]] = {}
    for (event, name), text in section.contributions.items():
        written.setdefault(name, {})[event] = parse(text)
    place = {event: index for index, event in enumerate(order)}
    return {
        name: fold(reducers[name], [by_event[event] for event in sorted(by_event, key=place.__getitem__)])
        for name, by_event in sorted(written.items())
    }
