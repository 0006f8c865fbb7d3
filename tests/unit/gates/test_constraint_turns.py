"""Goal: what a turn adds to order and sections is refused exactly when it breaks a law.

Method: real proposals with one cell changed, each law by brute force over ids and rows; every law at least 20 times.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import orjson

from relmachine.errors import Code
from relmachine.gates.constraint_programs import solve
from relmachine.gates.constraint_turns import TURN_PROGRAMS, TurnFacts
from relmachine.gates.constraints import ConstraintChecker
from relmachine.kernel.event_rows import ContributionRow
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import GateName
from tests.unit.gates.constraint_brute_turns import Found, broken_turns
from tests.unit.gates.constraint_turns_of import random_plan, random_turn

MUTANTS = 20
ONCE = frozenset({"first", "second"})
LAWS = {
    "extension_depth",
    "extension_acyclic",
    "event_new",
    "parent_inside",
    "tier",
    "turn_once",
    "turn_overlap",
    "turn_gluing",
    "turn_inside",
}
PLAN = random_plan(random.Random(11), claims=8)

Row = TypeVar("Row", bound=NamedTuple)


def lawful_round(rng: random.Random) -> list[Proposal]:
    """Turns of three threads that have a past, and the turn of a fork that does the same as the first."""
    states = []
    for thread in range(3):
        past = random_turn(PLAN, rng, initial_state(PLAN, f"t{thread}"), rng.randint(1, 5))
        states.append(past.after)
    seed, steps = rng.random(), rng.randint(2, 5)
    same = [states[0], replace(states[0], thread="fork")]
    return [
        *(random_turn(PLAN, random.Random(seed), state, steps) for state in same),
        *(random_turn(PLAN, rng, state, rng.randint(1, 5)) for state in states[1:]),
    ]


def with_row(rows: tuple[Row, ...], place: int, **cells: object) -> tuple[Row, ...]:
    return (*rows[:place], rows[place]._replace(**cells), *rows[place + 1 :])


def change_depth(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    depth = turn.histories[place].depth + rng.choice((-1, 1))
    return replace(turn, histories=with_row(turn.histories, place, depth=depth))


def change_tier(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    return replace(turn, events=with_row(turn.events, place, tier=turn.events[place].tier + rng.choice((-1, 1))))


def change_parents(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    parents = orjson.loads(turn.events[place].parents)
    others = [event.event_id for event in turn.events] + [last.event_id for last in turn.before.lasts.values()]
    parents = [*rng.sample(parents, min(len(parents), rng.randint(0, 2))), rng.choice([*others, "unknown"])]
    return replace(turn, events=with_row(turn.events, place, parents=orjson.dumps(parents).decode()))


def change_source(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    source = rng.choice(["unknown", turn.before.head, turn.histories[place].history_id])
    return replace(turn, extensions=with_row(turn.extensions, place, source=source))


def repeat_history(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    again = rng.choice([turn.before.head, *(row.history_id for row in turn.histories[:place])])
    return replace(
        turn,
        histories=with_row(turn.histories, place, history_id=again),
        extensions=with_row(turn.extensions, place, target=again),
        thread_events=with_row(turn.thread_events, place, history_id=again),
    )


def repeat_event(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    past = [last.event_id for last in turn.before.lasts.values()]
    again = rng.choice([*past, *(event.event_id for event in turn.events[:place])])
    return replace(
        turn,
        events=with_row(turn.events, place, event_id=again),
        thread_events=with_row(turn.thread_events, place, event_id=again),
    )


def change_once(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    row = ContributionRow(turn.events[place].event_id, "first", rng.choice(['"always this"', '"another"']))
    return replace(turn, contributions=(*turn.contributions, row))


def change_value_before(rng: random.Random, turn: Proposal, _: int) -> Proposal:
    return replace(turn, before=replace(turn.before, values={"first": rng.choice(['"always this"', '"another"'])}))


def tell_twice(rng: random.Random, turn: Proposal, place: int) -> Proposal:
    row = ContributionRow(turn.events[place].event_id, "all", rng.choice([f'"{place}"', '"another"']))
    return replace(turn, contributions=(*turn.contributions, row))


def stray_contribution(rng: random.Random, turn: Proposal, _: int) -> Proposal:
    past = [last.event_id for last in turn.before.lasts.values()]
    row = ContributionRow(rng.choice([*past, "unknown"]), rng.choice(["all", "first"]), '"astray"')
    return replace(turn, contributions=(*turn.contributions, row))


def change_section(_: random.Random, turn: Proposal, place: int) -> Proposal:
    return replace(turn, histories=with_row(turn.histories, place, section_digest="another"))


def change_contribution(rng: random.Random, turn: Proposal, _: int) -> Proposal:
    place = rng.randrange(len(turn.contributions))
    return replace(turn, contributions=with_row(turn.contributions, place, value='"another"'))


MUTATIONS: tuple[Callable[[random.Random, Proposal, int], Proposal], ...] = (
    change_depth,
    change_tier,
    change_parents,
    change_source,
    repeat_history,
    repeat_event,
    change_once,
    change_value_before,
    tell_twice,
    stray_contribution,
    change_section,
    change_contribution,
)


def mutated_round(rng: random.Random) -> list[Proposal]:
    turns = lawful_round(rng)
    which = rng.randrange(len(turns))
    turns[which] = rng.choice(MUTATIONS)(rng, turns[which], rng.randrange(len(turns[which].events)))
    return turns


def solved(turns: Sequence[Proposal]) -> Found:
    """What the programs find; the tier of an event with a predecessor outside means nothing, so it is left out."""
    facts = TurnFacts(turns, ONCE, first=7)
    found = {(*facts.place(item.subject), item.law) for item in solve(TURN_PROGRAMS, facts.text)}
    return found - {(turn, place, "tier") for turn, place, law in found if law == "parent_inside"}


def test_turns_are_refused_exactly_when_a_law_breaks() -> None:
    rng, seen = random.Random(21), Counter[str]()
    checker = ConstraintChecker(PLAN, Limits())
    rounds = 0
    while set(seen) != LAWS or min(seen.values()) < MUTANTS:
        turns = mutated_round(rng)
        expected = broken_turns(turns, ONCE)
        assert solved(turns) == expected
        answers = asyncio.run(checker.check(turns))
        for number, answer in enumerate(answers):
            mine = sorted((place, law) for turn, place, law in expected if turn == number)
            assert list(answer) == [turns[number].thread_events[place].seq for place, _ in mine[:1]]
            for refusal in answer.values():
                assert (refusal.code, refusal.gate) == (Code.LAW_VIOLATED, GateName.LAWS)
                assert refusal.witness["law"] in {law for place, law in mine if place == mine[0][0]}
        seen.update(law for _, _, law in expected)
        rounds += 1
    assert checker.solves == rounds


def test_lawful_turns_are_never_refused() -> None:
    rng = random.Random(22)
    checker = ConstraintChecker(PLAN, Limits())
    for _ in range(60):
        turns = lawful_round(rng)
        assert broken_turns(turns, ONCE) == solved(turns) == set()
        assert asyncio.run(checker.check(turns)) == [{} for _ in turns]


def test_the_highest_predecessor_is_not_taken_on_trust() -> None:
    lower_first = "step(9,0,1,2,4,1).beside(9,2,5,2)."
    assert [found.law for found in solve(TURN_PROGRAMS, lower_first)] == ["tier"]
    assert solve(TURN_PROGRAMS, "step(9,0,1,3,5,2).beside(9,3,4,1).") == []


def test_witnesses_name_ids_fields_and_values() -> None:
    turn = lawful_round(random.Random(23))[2]
    witness = {}
    once = replace(
        turn,
        before=replace(turn.before, values={"first": '"old"'}),
        contributions=(ContributionRow(turn.events[0].event_id, "first", '"new"'),),
    )
    past = next(iter(turn.before.lasts.values())).event_id
    stray = replace(turn, contributions=(ContributionRow(past, "all", '"new"'),))
    again = repeat_event(random.Random(1), turn, 0)
    cycle = repeat_history(random.Random(1), turn, 0)
    for name, mutant in (("once", once), ("stray", stray), ("again", again), ("cycle", cycle)):
        (answer,) = asyncio.run(ConstraintChecker(PLAN, Limits()).check([mutant]))
        (refusal,) = answer.values()
        witness[name] = refusal.witness["elements"]
        assert refusal.witness["history"] == mutant.histories[0].history_id
        assert refusal.witness["event"] == mutant.events[0].event_id
        assert refusal.sentence
    assert witness == {
        "once": ["first", '"old"', '"new"'],
        "stray": [past],
        "again": [again.events[0].event_id],
        "cycle": [turn.before.head, turn.before.depth, turn.before.depth + 1],
    }
