"""Goal: order and section programs refuse exactly the broken. Method: mutants of lawful ones against brute force."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from relmachine.gates.constraint_checks import check_orders, check_sections
from relmachine.gates.constraint_tables import Family, OrderTable, Piece
from tests.unit.gates.constraint_brute import broken_order, broken_sections, random_family, reported

MUTANTS = 20


def random_order(rng: random.Random) -> OrderTable:
    """Prefixes of a random history, ordered by inclusion."""
    events = range(rng.randint(1, 5))
    below = {event: {other for other in range(event) if rng.random() < 0.4} for event in events}
    prefixes: list[frozenset[int]] = [
        cut
        for cut in (frozenset(e for e in events if mask >> e & 1) for mask in range(1 << len(events)))
        if all(below[event] <= cut for event in cut)
    ]
    prefixes = rng.sample(prefixes, min(len(prefixes), 7))
    pairs = {(i, j) for i, t in enumerate(prefixes) for j, u in enumerate(prefixes) if t <= u}
    return OrderTable(tuple(str(sorted(prefix)) for prefix in prefixes), pairs)


def test_lawful_orders_are_never_refused() -> None:
    rng = random.Random(1)
    assert check_orders([random_order(rng) for _ in range(300)]) == []


def test_one_changed_pair_in_an_order() -> None:
    rng, seen, mutants = random.Random(2), Counter[str](), list[OrderTable]()
    while len(seen) < 3 or min(seen.values()) < MUTANTS:
        order = random_order(rng)
        size = len(order.histories)
        mutant = replace(order, prefix=set(order.prefix) ^ {(rng.randrange(size), rng.randrange(size))})
        mutants.append(mutant)
        seen.update({law for law, _ in broken_order(mutant)})
    assert reported(check_orders(mutants), len(mutants)) == [broken_order(mutant) for mutant in mutants]


def test_lawful_families_have_exactly_one_gluing() -> None:
    rng = random.Random(3)
    families = [random_family(rng) for _ in range(300)]
    assert all(broken_sections(family) == set() for family in families)
    assert check_sections(families) == []


Mutation = Callable[[random.Random, Family], Family]


def _swap(family: Family, place: int, piece: Piece) -> Family:
    return replace(family, pieces=(*family.pieces[:place], piece, *family.pieces[place + 1 :]))


def change_value_in_piece(rng: random.Random, family: Family) -> Family:
    place = rng.randrange(len(family.pieces))
    section = dict(family.pieces[place].section)
    if section:
        section[rng.choice(sorted(section))] = "other"
    return _swap(family, place, replace(family.pieces[place], section=section))


def lose_contribution_in_piece(rng: random.Random, family: Family) -> Family:
    place = rng.randrange(len(family.pieces))
    section = dict(family.pieces[place].section)
    if section:
        del section[rng.choice(sorted(section))]
    return _swap(family, place, replace(family.pieces[place], section=section))


def change_event_of_piece(rng: random.Random, family: Family) -> Family:
    place = rng.randrange(len(family.pieces))
    piece = family.pieces[place]
    event = rng.choice([*sorted(family.events), "foreign"])
    return _swap(family, place, replace(piece, events=piece.events ^ {event}))


def lose_piece(rng: random.Random, family: Family) -> Family:
    place = rng.randrange(len(family.pieces))
    return replace(family, pieces=family.pieces[:place] + family.pieces[place + 1 :])


def change_gluing(rng: random.Random, family: Family) -> Family:
    section = dict(family.sections[0])
    section[rng.choice([*sorted(family.events), "foreign"]), rng.choice(["note", "name"])] = rng.choice(["other", "n"])
    return replace(family, sections=(section,))


def lose_contribution_in_gluing(rng: random.Random, family: Family) -> Family:
    section = dict(family.sections[0])
    if section:
        del section[rng.choice(sorted(section))]
    return replace(family, sections=(section,))


def uncover_event(rng: random.Random, family: Family) -> Family:
    """One event in no piece, where the gluing may then say what it likes, as far as `once` lets it."""
    event = rng.choice(sorted(family.events))
    pieces = tuple(
        Piece(piece.events - {event}, {key: value for key, value in piece.section.items() if key[0] != event})
        for piece in family.pieces
    )
    other = {**family.sections[0], (event, rng.choice(["note", "name"])): "other"}
    return replace(family, pieces=pieces, sections=rng.choice([(other,), (*family.sections, other)]))


def lose_gluing(_: random.Random, family: Family) -> Family:
    return replace(family, sections=())


def second_gluing(rng: random.Random, family: Family) -> Family:
    other = change_gluing(rng, family).sections if rng.random() < 0.3 else family.sections
    return replace(family, sections=(*family.sections, *other))


MUTATIONS: tuple[Mutation, ...] = (
    change_value_in_piece,
    lose_contribution_in_piece,
    change_event_of_piece,
    lose_piece,
    change_gluing,
    lose_contribution_in_gluing,
    uncover_event,
    lose_gluing,
    second_gluing,
)
LAWS = {
    "coverage",
    "piece_inside",
    "section_inside",
    "overlap",
    "once_agrees",
    "gluing_exists",
    "gluing_unique",
}


def test_one_change_in_a_family_of_sections() -> None:
    rng, seen, mutants = random.Random(4), Counter[str](), list[Family]()
    while set(seen) != LAWS or min(seen.values()) < MUTANTS:
        mutant = rng.choice(MUTATIONS)(rng, random_family(rng))
        mutants.append(mutant)
        seen.update(broken_sections(mutant))
    found = reported(check_sections(mutants), len(mutants))
    assert [{law for law, _ in each} for each in found] == [broken_sections(mutant) for mutant in mutants]
    for family, each in zip(mutants, found, strict=True):
        for law, witness in each:
            assert is_witness(family, law, witness), (law, witness, family)


def is_witness(family: Family, law: str, witness: tuple[object, ...]) -> bool:
    """Whether `witness` shows that `family` breaks `law`."""
    pieces = [str(item).removeprefix("piece ") for item in witness if str(item).startswith("piece ")]
    held = [family.pieces[int(place)] for place in pieces]
    match law, witness:
        case "coverage", (event,):
            return event in family.events and all(event not in piece.events for piece in family.pieces)
        case "piece_inside", (_, event):
            return event in held[0].events - family.events
        case "section_inside", (_, event, field):
            return event not in held[0].events and (event, field) in held[0].section
        case "overlap", (_, _, event, field):
            one, other = held
            key = (str(event), str(field))
            return event in one.events & other.events and one.section[key] != other.section.get(key)
        case "once_agrees", (field, first, second):
            values = {
                value
                for piece in family.pieces
                for key, value in piece.section.items()
                if key in {(first, field), (second, field)}
            }
            return field in family.once and len(values) > 1
        case "gluing_exists", ():
            return True  # held to brute force above; there is nothing to name
        case "gluing_unique", (first, second):
            return first != second
        case _:
            return False
