"""How local sections glue to one. Source: `docs/math.md` section 3."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from itertools import combinations

from relmachine.algebra.identity import EMPTY_SET, contributions_digest, set_add
from relmachine.algebra.sections import Section
from tests.oracles.histories import History
from tests.oracles.obstructions import Disagreement, Obstruction, Side


def restrict(section: Section, events: Collection[str]) -> Section:
    """The section over those of its events that are in `events`: what a prefix says, or the settled events."""
    kept = section.events.intersection(events)
    return Section(kept, {key: text for key, text in section.contributions.items() if key[0] in kept})


def accumulator(section: Section, asserts: Mapping[str, Collection[str]]) -> int:
    """The set accumulator of the section; `identity.set_digest` of it is the section digest.

    Its elements are (event id, contributions digest) for each event with a contribution. `asserts` gives the claims
    that each such event asserted, which its contributions digest holds too.
    """
    written: dict[str, list[tuple[str, str]]] = {}
    for (event, name), text in section.contributions.items():
        written.setdefault(event, []).append((name, text))
    elements = ((event, contributions_digest(asserts[event], pairs)) for event, pairs in written.items())
    return reduce(lambda total, element: set_add(total, *element), elements, EMPTY_SET)


def uncovered(history: History, family: Iterable[History]) -> frozenset[str]:
    """Events that keep `family` from covering `history`: its own that no piece holds, and strange ones in a piece.

    Empty for a covering family.
    """
    return frozenset(history.events) ^ frozenset[str]().union(*(piece.events for piece in family))


def glue(family: Sequence[Section], once: Collection[str]) -> Section | tuple[Obstruction, ...]:
    """The one section over all events of `family` that restricts to each of its sections, or why there is none.

    `once` names the fields that take one value. An obstruction keeps both sides: what one event contributed
    differently in two pieces that both hold it, or the events that wrote different values into a `once` field.
    """
    united: dict[tuple[str, str], str] = {}
    for piece in family:
        united.update(piece.contributions)
    found = [*_overlaps(family, united), *_once_values(family, once)]
    if found:
        return tuple(found)
    return Section(frozenset[str]().union(*(piece.events for piece in family)), united)


def _overlaps(family: Sequence[Section], united: Mapping[tuple[str, str], str]) -> Iterable[Obstruction]:
    for event, name in sorted(united):
        texts = {piece.contributions.get((event, name), "") for piece in family if event in piece.events}
        for one, other in combinations(sorted(texts), 2):
            yield Obstruction.between(Disagreement.CONTRIBUTION, name, Side((event,), one), Side((event,), other))


def _once_values(family: Sequence[Section], once: Collection[str]) -> Iterable[Obstruction]:
    writers: dict[str, dict[str, set[str]]] = {name: {} for name in sorted(once)}
    for piece in family:
        for (event, name), text in piece.contributions.items():
            if name in writers:
                writers[name].setdefault(text, set()).add(event)
    for name, by_text in writers.items():
        sides = [Side(tuple(sorted(events)), text) for text, events in by_text.items()]
        for one, other in combinations(sorted(sides), 2):
            yield Obstruction.between(Disagreement.ONCE, name, one, other)
