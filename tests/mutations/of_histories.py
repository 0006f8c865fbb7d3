"""Mutants of the log's orders and sections: one pair, event or contribution changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from relmachine.gates.constraint_checks import check_orders, check_sections
from relmachine.gates.constraint_tables import Family as Sections
from relmachine.gates.constraint_tables import OrderTable, Piece
from relmachine.kernel.proposal import Proposal
from relmachine.machine.plan import Reducer
from tests import permit
from tests.mutations import real
from tests.mutations.definitions import Broken, broken_family
from tests.mutations.family import Drawn, Family, by_subject
from tests.unit.gates.constraint_brute import broken_order

Section = dict[tuple[str, str], str]
ANOTHER = '"another"'


def once() -> frozenset[str]:
    """The `once` fields of the permit machine."""
    return frozenset(name for name, field in permit.plan().fields.items() if field.reducer is Reducer.ONCE)


def within(section: Mapping[tuple[str, str], str], events: frozenset[str]) -> Section:
    """What the events contribute."""
    return {key: value for key, value in section.items() if key[0] in events}


def covered(rng: Random, turn: Proposal) -> Sections:
    """The history at the end of a thread, with pieces that cover it: pasts of events, and their one gluing."""
    pasts, whole = real.pasts(turn), real.section_of(turn)
    ends = [last.event_id for last in turn.after.lasts.values()]
    chosen = [*ends, *rng.sample(sorted(pasts), min(2, len(pasts)))]
    pieces = list(dict.fromkeys(pasts[event] for event in chosen))
    return Sections(
        frozenset(pasts), tuple(Piece(events, within(whole, events)) for events in pieces), (whole,), once()
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Draws from real threads: a fresh cover each time."""

    turns: Sequence[Proposal]

    def draw(
        self, change: Callable[[Random, Sections], tuple[object, Sections] | None]
    ) -> Callable[[Random], Drawn[Sections] | None]:
        def draw(rng: Random) -> Drawn[Sections] | None:
            turn = rng.choice(self.turns)
            changed = change(rng, covered(rng, turn))
            return None if changed is None else Drawn(turn.before.thread, *changed)

        return draw


def _swap(family: Sections, place: int, piece: Piece) -> Sections:
    return replace(family, pieces=(*family.pieces[:place], piece, *family.pieces[place + 1 :]))


def value_in_piece(rng: Random, family: Sections) -> tuple[object, Sections] | None:
    """One contribution of one piece has another value."""
    place = rng.randrange(len(family.pieces))
    section = dict(family.pieces[place].section)
    if not section:
        return None
    key = rng.choice(sorted(section))
    section[key] = ANOTHER
    return (place, key), _swap(family, place, replace(family.pieces[place], section=section))


def contribution_lost_in_piece(rng: Random, family: Sections) -> tuple[object, Sections] | None:
    """One contribution of one piece is missing."""
    place = rng.randrange(len(family.pieces))
    section = dict(family.pieces[place].section)
    if not section:
        return None
    key = rng.choice(sorted(section))
    del section[key]
    return (place, key), _swap(family, place, replace(family.pieces[place], section=section))


def event_of_piece(rng: Random, family: Sections) -> tuple[object, Sections]:
    """One event goes into a piece, or out of it."""
    place = rng.randrange(len(family.pieces))
    piece = family.pieces[place]
    event = rng.choice([*sorted(family.events), "foreign"])
    return (place, event), _swap(family, place, replace(piece, events=piece.events ^ {event}))


def foreign_event(rng: Random, family: Sections) -> tuple[object, Sections]:
    """A piece holds an event that is not one of the history."""
    place = rng.randrange(len(family.pieces))
    event = f"foreign {rng.randrange(100)}"
    piece = family.pieces[place]
    return (place, event), _swap(family, place, replace(piece, events=piece.events | {event}))


def event_lost(rng: Random, family: Sections) -> tuple[object, Sections] | None:
    """An event that only one piece holds leaves it."""
    held = [
        (place, event)
        for place, piece in enumerate(family.pieces)
        for event in piece.events
        if sum(event in other.events for other in family.pieces) == 1
    ]
    if not held:
        return None
    place, event = rng.choice(sorted(held))
    piece = family.pieces[place]
    return (place, event), _swap(family, place, replace(piece, events=piece.events - {event}))


def value_in_gluing(rng: Random, family: Sections) -> tuple[object, Sections] | None:
    """One contribution of the gluing has another value, or is missing."""
    section = dict(family.sections[0])
    if not section:
        return None
    key, gone = rng.choice(sorted(section)), rng.random() < 0.5
    if gone:
        del section[key]
    else:
        section[key] = ANOTHER
    return (key, gone), replace(family, sections=(section,))


def second_gluing(rng: Random, family: Sections) -> tuple[object, Sections]:
    """A second section over the history is given: where every event is held by a piece, it says the same."""
    return ("again", rng.randrange(10)), replace(family, sections=(*family.sections, family.sections[0]))


def once_in_piece(rng: Random, family: Sections) -> tuple[object, Sections] | None:
    """A contribution to a `once` field has another value, in one piece, or an event makes one more."""
    place = rng.randrange(len(family.pieces))
    piece = family.pieces[place]
    event, field = rng.choice(sorted(piece.events)), rng.choice(sorted(family.once))
    section = {**piece.section, (event, field): ANOTHER}
    return (place, event, field), _swap(family, place, replace(piece, section=section))


def families() -> list[Family[OrderTable] | Family[Sections]]:
    """A family for each law of orders and sections."""
    turns = [turn for turn in real.turns() if 2 <= len(turn.events) <= 12]
    orders = [(turn.before.thread, real.order_of(turn)) for turn in turns]
    places = _Place(turns)

    def order(name: str, law: str, *, gone: bool | None) -> Family[OrderTable]:
        def draw(rng: Random) -> Drawn[OrderTable] | None:
            thread, table = rng.choice(orders)
            size = len(table.histories)
            i, j = rng.randrange(size), rng.randrange(size)
            if law == "prefix_reflexive":
                j = i
            if gone is not None and ((i, j) in table.prefix) is not gone:
                return None
            return Drawn(thread, (i, j), replace(table, prefix=frozenset(table.prefix ^ {(i, j)})))

        return Family(name, frozenset({law}), draw, broken_order, ask_orders, lambda item: len(item.histories) ** 3)

    def of(
        name: str, change: Callable[[Random, Sections], tuple[object, Sections] | None], law: str
    ) -> Family[Sections]:
        return Family(name, frozenset({law}), places.draw(change), broken_family, ask_families, _size)

    return [
        order("prefix order not transitive", "prefix_transitive", gone=True),
        order("prefix order not antisymmetric", "prefix_antisymmetric", gone=False),
        order("prefix order not reflexive", "prefix_reflexive", gone=True),
        of("sections disagree on an overlap", value_in_piece, "overlap"),
        of("a contribution missing on an overlap", contribution_lost_in_piece, "overlap"),
        of("a once field with two values", once_in_piece, "once_agrees"),
        of("no gluing", value_in_gluing, "gluing_exists"),
        of("two gluings", second_gluing, "gluing_unique"),
        of("an event in no piece", event_lost, "coverage"),
        of("a piece beyond the history", foreign_event, "piece_inside"),
        of("a contribution beyond its piece", event_of_piece, "section_inside"),
    ]


def _size(family: Sections) -> int:
    return 40 * sum(len(piece.section) + len(piece.events) for piece in family.pieces)


def ask_orders(mutants: Sequence[OrderTable]) -> list[Broken]:
    """What the program says of orders."""
    return by_subject(((v.subject, v.law, v.witness) for v in check_orders(mutants)), len(mutants))


def ask_families(mutants: Sequence[Sections]) -> list[Broken]:
    """What the program says of families of sections."""
    found = [(v.subject, v.law, v.witness) for v in check_sections(mutants)]
    return by_subject(((subject, law, _unordered(law, witness)) for subject, law, witness in found), len(mutants))


def _unordered(law: str, witness: tuple[object, ...]) -> tuple[object, ...]:
    return (witness[0], *sorted(map(str, witness[1:]))) if law == "once_agrees" else witness
