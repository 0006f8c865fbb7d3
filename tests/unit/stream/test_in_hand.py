"""Goal: the server hears of every hint that a living node has in hand for long, and of no other. Method: a clock of the
test's own."""

from __future__ import annotations

from relmachine.stream.in_hand import InHand
from relmachine.stream.port import Hint


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def hint(sequence: int, token: str) -> Hint:
    return Hint("t", sequence, token)


def test_what_is_old_and_not_answered_is_told_of() -> None:
    clock = Clock()
    hand = InHand(1.0, 10.0, clock)
    hand.came(hint(1, "one"))
    hand.came(hint(2, "two"))
    assert hand.due() == []
    clock.now = 1.5
    hand.came(hint(3, "three"))
    assert hand.due() == ["one", "two"]
    hand.answered([hint(1, "one")])
    clock.now = 3.0
    assert hand.due() == ["two", "three"]


def test_one_that_comes_again_is_told_of_by_its_newest_token_and_no_longer_than_the_first() -> None:
    clock = Clock()
    hand = InHand(1.0, 10.0, clock)
    hand.came(hint(1, "first"))
    clock.now = 9.0
    hand.came(hint(1, "second"))
    assert hand.due() == ["second"]
    clock.now = 10.5
    assert hand.due() == []
    assert len(hand) == 0
