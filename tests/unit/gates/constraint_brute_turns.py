"""The laws of what turns write by brute force over ids and rows, independent of the programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import orjson

from relmachine.kernel.proposal import Proposal

Found = set[tuple[int, int, str]]
"""Turn, place of the step in it, law."""


def broken_turns(turns: Sequence[Proposal], once: Collection[str]) -> Found:
    """Every (turn, place, law) that is broken, by ids."""
    found: Found = set()
    told: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    sections: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for number, turn in enumerate(turns):
        found |= {(number, place, law) for place, law in _broken_order(turn) | _broken_values(turn, once)}
        places = {event.event_id: place for place, event in enumerate(turn.events)}
        for event, field, value in turn.contributions:
            if event in places:
                told[event, field].append((number, places[event], value))
        for place, row in enumerate(turn.histories):
            sections[row.history_id].append((number, place, row.section_digest))
    for law, tellings in (("turn_overlap", told), ("turn_gluing", sections)):
        for each in tellings.values():
            for turn, place, value in each:
                if any(earlier[:2] <= (turn, place) and earlier[2] != value for earlier in each):
                    found.add((turn, place, law))
    return found


def _broken_order(turn: Proposal) -> set[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    tiers = {last.event_id: last.tier for last in turn.before.lasts.values()}
    depths = {turn.before.head: turn.before.depth}
    for place, (event, history) in enumerate(zip(turn.events, turn.histories, strict=True)):
        parents = orjson.loads(event.parents)
        known = [tiers[parent] for parent in parents if parent in tiers]
        if len(known) < len(parents):
            found.add((place, "parent_inside"))
        elif event.tier != 1 + max(known, default=0):
            found.add((place, "tier"))
        if event.event_id in tiers:
            found.add((place, "event_new"))
        if depths.get(turn.extensions[place].source) != history.depth - 1:
            found.add((place, "extension_depth"))
        if depths.get(history.history_id, history.depth) != history.depth:
            found.add((place, "extension_acyclic"))
        tiers.setdefault(event.event_id, event.tier)
        depths.setdefault(history.history_id, history.depth)
    return found


def _broken_values(turn: Proposal, once: Collection[str]) -> set[tuple[int, str]]:
    places = {event.event_id: place for place, event in enumerate(turn.events)}
    strays = {(0, "turn_inside") for row in turn.contributions if row.event_id not in places}
    found: set[tuple[int, str]] = set()
    for field in once:
        written = [
            (places[row.event_id], row.value)
            for row in turn.contributions
            if row.field == field and row.event_id in places
        ]
        if written and field in turn.before.values:
            written.append((-1, turn.before.values[field]))
        first = min((place for place, _ in written), default=0)
        wanted = {value for place, value in written if place == first}
        found |= {(place, "turn_once") for place, value in written if wanted != {value}}
    return strays | found
