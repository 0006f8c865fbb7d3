"""Goal: no step leads to more than `FOLLOWING_MAX` others, however steps propose each other. Method: families of steps
at random, grown by the share that each passes on; and a closure in its turn that proposes one more than it may."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from relmachine.engine.closure import call
from relmachine.errors import Code, RelmError
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import FOLLOWING_MAX, HOPS_MAX
from relmachine.kernel.following import check_follow_ups, passed_on
from relmachine.kernel.verdicts import Refusal
from tests.unit.held.desk import machine

FIRST = Candidate(1, "t", "grant", '["test","1"]', "{}", "")


@pytest.mark.parametrize("seed", range(20))
def test_a_family_of_steps_is_bounded(seed: int) -> None:
    """As large as can be: every step proposes something, as long as it may."""
    rng = random.Random(seed)
    most = rng.choice([1, 2, 3, 32])
    grown, family = [FIRST], 0
    while grown:
        cause = grown.pop()
        count = min(rng.randint(1, most), cause.following)
        check_follow_ups(cause, count)
        if count and cause.hops < HOPS_MAX:
            following = passed_on(cause, count)
            grown += [replace(cause, hops=cause.hops + 1, following=following)] * count
            family += count
    assert 0 < family <= FOLLOWING_MAX


def test_a_chain_goes_on_to_its_last_hop() -> None:
    step = FIRST
    for _ in range(HOPS_MAX):
        check_follow_ups(step, 1)
        step = replace(step, following=passed_on(step, 1))


@pytest.mark.parametrize("following", [0, 1, 5])
def test_who_proposes_one_more_is_refused(following: int) -> None:
    cause = replace(FIRST, following=following)
    check_follow_ups(cause, following)
    with pytest.raises(RelmError) as caught:
        check_follow_ups(cause, following + 1)
    assert caught.value.code is Code.LIMIT_EXCEEDED
    assert caught.value.witness == {"following_max": FOLLOWING_MAX, "following": following}


def test_a_closure_in_its_turn_is_held_to_it() -> None:
    plan = machine().plan()
    step = plan.steps[plan.step_index["grant"]]
    refusal = call(plan, step, replace(FIRST, following=0), {}, 0)
    assert isinstance(refusal, Refusal) and refusal.code is Code.LIMIT_EXCEEDED
    assert not isinstance(call(plan, step, replace(FIRST, following=1), {}, 0), Refusal)
