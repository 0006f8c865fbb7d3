"""Mutants of the rows that the log's turns write: one cell changed, or one row given again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple, TypeVar

import orjson

from relmachine.gates.constraint_programs import solve
from relmachine.gates.constraint_turns import TURN_PROGRAMS, TurnFacts
from relmachine.kernel.event_rows import ContributionRow
from relmachine.kernel.proposal import Proposal
from tests.mutations import real
from tests.mutations.definitions import Broken
from tests.mutations.family import Drawn, Family
from tests.mutations.of_histories import once
from tests.unit.gates.constraint_brute_turns import broken_turns

Row = TypeVar("Row", bound=NamedTuple)
Change = Callable[[Random, Proposal, int], tuple[object, Proposal] | None]
ANOTHER = '"another"'


def with_row(rows: tuple[Row, ...], place: int, **cells: object) -> tuple[Row, ...]:
    """`rows` with other cells in one."""
    return (*rows[:place], rows[place]._replace(**cells), *rows[place + 1 :])


def depth(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal]:
    by = rng.choice((-2, -1, 1, 2))
    return by, replace(turn, histories=with_row(turn.histories, place, depth=turn.histories[place].depth + by))


def source(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal] | None:
    found = rng.choice(["unknown", turn.before.head, *(row.history_id for row in turn.histories[: place + 1])])
    if found == turn.extensions[place].source:
        return None
    return found, replace(turn, extensions=with_row(turn.extensions, place, source=found))


def history(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal]:
    """The step leads to a history that the thread has had, in all three rows that name it."""
    again = rng.choice([turn.before.head, *(row.history_id for row in turn.histories[:place])])
    return again, replace(
        turn,
        histories=with_row(turn.histories, place, history_id=again),
        extensions=with_row(turn.extensions, place, target=again),
        thread_events=with_row(turn.thread_events, place, history_id=again),
    )


def event(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal] | None:
    """The step's event is one that the thread has had, in both rows that name it."""
    if not place:
        return None
    again = rng.choice([row.event_id for row in turn.events[:place]])
    return again, replace(
        turn,
        events=with_row(turn.events, place, event_id=again),
        thread_events=with_row(turn.thread_events, place, event_id=again),
    )


def parents(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal]:
    found = [*orjson.loads(turn.events[place].parents)[:1], rng.choice([turn.events[-1].event_id, "unknown"])]
    return found, replace(turn, events=with_row(turn.events, place, parents=orjson.dumps(found).decode()))


def tier(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal]:
    by = rng.choice((-1, 1, 2))
    return by, replace(turn, events=with_row(turn.events, place, tier=turn.events[place].tier + by))


def once_again(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal]:
    """An event contributes another value to a `once` field."""
    field, value = rng.choice(sorted(once())), f'"another {rng.randrange(10)}"'
    row = ContributionRow(turn.events[place].event_id, field, value)
    return (field, value), replace(turn, contributions=(*turn.contributions, row))


def told_twice(rng: Random, turn: Proposal, place: int) -> tuple[object, Proposal] | None:
    """An event contributes a second value to a field."""
    row = rng.choice([item for item in turn.contributions if item.event_id == turn.events[place].event_id])
    return row.field, replace(turn, contributions=(*turn.contributions, row._replace(value=ANOTHER)))


def stray(rng: Random, turn: Proposal, _: int) -> tuple[object, Proposal]:
    place = rng.randrange(len(turn.contributions))
    return place, replace(turn, contributions=with_row(turn.contributions, place, event_id="unknown"))


def two_sections(_: Random, turn: Proposal, place: int) -> tuple[object, Proposal] | None:
    """Two steps of a turn lead to one history with two sections: the second names the history of the first."""
    if not place:
        return None
    return "section", history(Random(0), turn, place)[1]


def families() -> list[Family[Proposal]]:
    """A family for each law of what turns write."""
    turns = [turn for turn in real.turns() if len(turn.events) >= 2]
    fields = once()

    def broken(turn: Proposal) -> Broken:
        return {(law, (place,)) for _, place, law in broken_turns([turn], fields)}

    def ask(mutants: Sequence[Proposal]) -> list[Broken]:
        return [solved(turn, fields) for turn in mutants]

    def of(name: str, change: Change, law: str) -> Family[Proposal]:
        def draw(rng: Random) -> Drawn[Proposal] | None:
            turn = rng.choice(turns)
            place = rng.randrange(len(turn.events))
            changed = change(rng, turn, place)
            return None if changed is None else Drawn(turn.before.thread, (place, changed[0]), changed[1])

        return Family(name, frozenset({law}), draw, broken, ask, lambda turn: len(turn.events) * 50)

    return [
        of("a history not one deeper", depth, "extension_depth"),
        of("an extension of another history", source, "extension_depth"),
        of("a history that comes again", history, "extension_acyclic"),
        of("an event that comes again", event, "event_new"),
        of("a predecessor that is not there", parents, "parent_inside"),
        of("a tier of another height", tier, "tier"),
        of("a turn with two values of a once field", once_again, "turn_once"),
        of("a turn that tells an event twice", told_twice, "turn_overlap"),
        of("a turn with two sections of a history", two_sections, "turn_gluing"),
        of("a turn with a stray contribution", stray, "turn_inside"),
    ]


def solved(turn: Proposal, fields: frozenset[str]) -> Broken:
    """What the programs find; the tier of an event with a predecessor outside means nothing, so it is left out."""
    facts = TurnFacts([turn], fields, first=7)
    found = {(item.law, (facts.place(item.subject)[1],)) for item in solve(TURN_PROGRAMS, facts.text)}
    outside = {place for law, place in found if law == "parent_inside"}
    return {(law, place) for law, place in found if law != "tier" or place not in outside}
