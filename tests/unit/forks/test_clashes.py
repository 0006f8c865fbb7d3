"""Goal: what stands in the way of a union is found in the order of both sides, walking only pairs that clash.
Method: sides of the desk machine at random against the plain double loop; the pairs walked, counted."""

from __future__ import annotations

from random import Random

import pytest

from relmachine.kernel import glue
from relmachine.kernel.glue import Difference, clashes
from relmachine.kernel.joining import PastEvent
from tests.contract.store_turns import desk

SIDE = 1000
PLAN = desk()


def event(side: str, number: int, step: str, key: str = "") -> PastEvent:
    return PastEvent(f"{side}{number}", step, key or f"{side}-key-{number}", "", (), "{}", ())


@pytest.mark.parametrize("seed", range(20))
def test_rows_come_in_the_order_of_ours_and_then_of_theirs(seed: int) -> None:
    rng, names = Random(seed), [step.name for step in PLAN.steps]
    keys = rng.sample(range(30), 12), rng.sample(range(30), 12)
    ours, theirs = (
        [event(side, n, rng.choice(names), str(key)) for n, key in enumerate(some)]
        for side, some in zip("ot", keys, strict=True)
    )
    found = clashes(PLAN, Difference("a", "b", ours, theirs), 1, 10_000)
    index = PLAN.step_index
    expected = [
        (one.event_id, other.event_id)
        for one in ours
        for other in theirs
        if PLAN.dependent[index[one.step]] >> index[other.step] & 1 or one.step_key == other.step_key
    ]
    assert len(expected) == found.pairs > 0
    assert [(row.left_side, row.right_side) for row in found.rows] == [
        (f'{{"events":["{one}"],"value":""}}', f'{{"events":["{other}"],"value":""}}') for one, other in expected
    ]


def test_pairs_that_do_not_clash_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = glue._dependent  # pyright: ignore[reportPrivateUsage]

    def counted(*pair: object) -> bool:
        asked.append(1)
        return plain(*pair)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(glue, "_dependent", counted)
    ours = [*(event("o", n, "note") for n in range(SIDE)), event("o", SIDE, "decide")]
    theirs = [*(event("t", n, "doubt") for n in range(SIDE)), event("t", SIDE, "decide")]
    found = clashes(PLAN, Difference("a", "b", ours, theirs), 1, 256)
    assert (found.pairs, len(found.rows)) == (1, 1)
    assert len(asked) < 10 * SIDE
