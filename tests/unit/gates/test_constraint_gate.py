"""Goal: the running gate asks about each fiber and pair once, and refuses the first step that leads to a bad one.

Method: counters of the checker over repeated rounds; plans whose fibers break a law.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from relmachine.gates.constraint_laws import SENTENCES
from relmachine.gates.constraint_programs import program_text, programs_digest
from relmachine.gates.constraints import ConstraintChecker
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.standing import fiber_of
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, Refusal
from relmachine.machine.plan import Kind, Plan
from tests.unit.gates.constraint_turns_of import random_plan, random_turn

PLAN = random_plan(random.Random(31), claims=8)


def check(checker: ConstraintChecker, *turns: Proposal) -> list[Mapping[int, Refusal]]:
    return list(asyncio.run(checker.check(turns)))


def turn_of(plan: Plan, thread: str, *steps: str) -> Proposal:
    """A turn that takes `steps`, at sequences 10, 20, …"""
    decided = [
        Admitted(Candidate(10 * place, thread, step, f"key {place}", "{}", "payload"), ())
        for place, step in enumerate(steps, 1)
    ]
    return advance(plan, initial_state(plan, thread), decided)


def chain(*kinds: Kind) -> Plan:
    """A machine whose claims c00, c01, … each rest on the one before."""
    plan = random_plan(random.Random(1), claims=len(kinds))
    claims = tuple(replace(claim, up=(2 << claim.index) - 1) for claim in plan.claims)
    return replace(
        plan,
        claims=claims,
        stable_saturation=sum(1 << index for index, kind in enumerate(kinds) if kind.saturation_stable),
        stable_transfer=sum(1 << index for index, kind in enumerate(kinds) if kind.transfer_stable),
    )


def test_what_was_seen_is_not_asked_again() -> None:
    checker, rng = ConstraintChecker(PLAN, Limits()), random.Random(32)
    turns = [random_turn(PLAN, rng, initial_state(PLAN, f"t{thread}"), 6) for thread in range(20)]
    changes = [
        (before, after)
        for turn in turns
        for before, after in zip((0, *turn.fibers), turn.fibers, strict=False)
        if before != after
    ]
    fibers = {after for _, after in changes}
    check(checker, *turns)
    whole = (1 << len(PLAN.claims)) - 1
    pairs = set(changes) | {(fiber, whole) for fiber in fibers}
    assert (checker.solves, checker.asked) == (1, len(fibers) + len(pairs))
    asked = checker.asked
    renamed = [replace(turn, before=replace(turn.before, thread="other")) for turn in turns]
    check(checker, *turns)
    check(checker, *renamed)
    assert (checker.solves, checker.asked) == (3, asked)


def test_rounds_at_the_same_time_ask_about_a_fiber_once() -> None:
    async def together(checker: ConstraintChecker, turns: list[Proposal]) -> list[Mapping[int, Refusal]]:
        answers = await asyncio.gather(*(checker.check([turn]) for turn in turns))
        return [refusals for answer in answers for refusals in answer]

    turns = [random_turn(PLAN, random.Random(33), initial_state(PLAN, "t"), 6)] * 3
    alone, several = ConstraintChecker(PLAN, Limits()), ConstraintChecker(PLAN, Limits())
    check(alone, turns[0])
    assert asyncio.run(together(several, turns)) == [{}, {}, {}]
    assert (several.solves, several.asked) == (3, alone.asked)


def test_a_round_that_writes_no_event_needs_no_solve() -> None:
    checker = ConstraintChecker(PLAN, Limits())
    empty = advance(PLAN, initial_state(PLAN, "t"), [])
    assert check(checker) == []
    assert check(checker, empty, empty) == [{}, {}]
    assert checker.solves == 0


def test_forgotten_verdicts_are_asked_again() -> None:
    checker, rng = ConstraintChecker(PLAN, Limits(), verdicts_max=2), random.Random(33)
    turns = [random_turn(PLAN, rng, initial_state(PLAN, f"t{thread}"), 6) for thread in range(5)]
    check(checker, *turns)
    asked = checker.asked
    assert check(checker, *turns) == [{}] * 5
    assert asked < checker.asked <= 2 * asked


def test_rounds_at_the_same_time_give_the_same_answers() -> None:
    bad = chain(Kind.PROCEDURE, Kind.DERIVATION)
    checker = ConstraintChecker(bad, Limits(), verdicts_max=1)
    turns = [turn_of(bad, f"t{thread}", "c00", "c01") for thread in range(3)]

    async def both() -> list[object]:
        return list(await asyncio.gather(checker.check(turns), checker.check(turns[:1])))

    first, second = asyncio.run(both())
    assert first == check(checker, *turns)
    assert second == first[:1]


def test_a_derivation_on_a_procedure_is_refused_with_both_claims() -> None:
    bad = chain(Kind.PROCEDURE, Kind.DERIVATION, Kind.PROCESS)
    for elements_max in (0, 16):
        checker = ConstraintChecker(bad, replace(Limits(), fiber_table_elements_max=elements_max))
        for _ in range(2):
            lawful, broken = check(checker, turn_of(bad, "a", "c00"), turn_of(bad, "b", "c00", "c01", "c02"))
            assert lawful == {}
            assert list(broken) == [20]
            assert broken[20].witness == {
                "law": "points_commuting",
                "elements": ["c01", "c00"],
                "fiber": fiber_of(bad, 0b011).fiber_id,
            }
    bridged = chain(Kind.PROCEDURE, Kind.PROCESS, Kind.DERIVATION)
    assert check(ConstraintChecker(bridged, Limits()), turn_of(bridged, "a", "c00", "c01", "c02")) == [{}]


def test_a_claim_without_its_prerequisite_is_refused() -> None:
    plan = chain(Kind.PROCESS, Kind.PROCESS, Kind.PROCESS)
    ((answer),) = check(ConstraintChecker(plan, Limits()), turn_of(plan, "t", "c00", "c02"))
    assert list(answer) == [20]
    assert answer[20].witness["law"] == "restriction_closed"
    assert answer[20].witness["elements"] == ["c02", "c01"]


def test_a_claim_that_is_lost_is_refused() -> None:
    plan = chain(Kind.PROCESS, Kind.PROCESS)
    turn = turn_of(plan, "t", "c00", "c01")
    (answer,) = check(ConstraintChecker(plan, Limits()), replace(turn, fibers=(0b11, 0b01)))
    assert list(answer) == [20]
    assert (answer[20].witness["law"], answer[20].witness["elements"]) == ("restriction_inside", ["c01"])
    assert answer[20].witness["restricted_to"] == fiber_of(plan, 0b11).fiber_id


def test_tables_are_asked_of_small_fibers_only(monkeypatch) -> None:
    facts: list[str] = []
    from relmachine.gates import constraints

    real = constraints.solve
    monkeypatch.setattr(constraints, "solve", lambda names, text: (facts.append(text), real(names, text))[1])
    plan = chain(*[Kind.PROCESS] * 4)
    for elements_max, told in ((0, 0), (3, 2), (5, 4)):
        facts.clear()
        checker = ConstraintChecker(plan, replace(Limits(), fiber_table_elements_max=elements_max))
        check(checker, turn_of(plan, "t", "c00", "c01", "c02", "c03"))
        assert facts[0].count("algebra(") == told
        assert facts[0].count("fiber(") == 4


def test_every_law_has_a_sentence_and_every_sentence_a_law() -> None:
    folder = files("relmachine") / "constraints"
    names = [entry.name.removesuffix(".lp") for entry in folder.iterdir() if entry.name.endswith(".lp")]
    own = [name for name in names if name.partition("_")[0] in {"heyting", "nucleus", "restriction", "prefix", "sheaf"}]
    assert len(own) == 10
    laws = {
        line.partition("violation(")[2].partition(",")[0]
        for name in own
        for line in program_text(name).splitlines()
        if line.startswith("violation(")
    }
    assert laws == set(SENTENCES)
    assert len(programs_digest()) == 64
