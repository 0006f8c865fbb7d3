"""Goal: a subject that is not taken waits longer each time, up to a bound, and no other waits. Method: a clock of
numbers."""

from __future__ import annotations

from relmachine.stream.holding import Held


def test_each_refusal_doubles_the_wait_up_to_the_bound() -> None:
    held, now = Held[str](5.0, 10), 0.0
    waits: list[float] = []
    for _ in range(5):
        seconds = held.hold("a", now)
        waits.append(seconds)
        assert held.waits("a", now + seconds - 0.01)
        assert not held.waits("a", now + seconds)
        assert not held.waits("b", now)
        now += seconds
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]
    held.release("a")
    assert (len(held), held.hold("a", now)) == (0, 1.0)


def test_the_longest_held_is_forgotten_beyond_the_bound() -> None:
    held = Held[str](5.0, 2)
    for subject in "abc":
        held.hold(subject, 0.0)
    assert [held.waits(subject, 0.5) for subject in "abc"] == [False, True, True]
