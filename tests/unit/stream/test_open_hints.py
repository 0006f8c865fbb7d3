"""Goal: hints that are not done are known by thread, and never more of them than the bound. Method: random lives of
hints beside a plain model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relmachine.stream.open_hints import OpenHints
from relmachine.stream.port import Hint

LIVES = st.lists(st.tuples(st.sampled_from(["came", "done", "cursor"]), st.integers(1, 30)))


def thread_of(sequence: int) -> str:
    return f"t{sequence % 4}"


@given(LIVES, st.integers(1, 12))
def test_those_that_came_last_and_are_not_done_are_known(lives: list[tuple[str, int]], most: int) -> None:
    hints, model = OpenHints(most), dict[int, None]()
    for what, sequence in lives:
        thread = thread_of(sequence)
        if what == "came":
            hints.came(thread, sequence)
            model.pop(sequence, None)
            model[sequence] = None
            model = dict(list(model.items())[-most:])
        elif what == "done":
            hints.done([Hint(thread, sequence, None)])
            model.pop(sequence, None)
        else:
            hints.forget({thread: sequence})
            model = {one: None for one in model if thread_of(one) != thread or one > sequence}
        assert len(hints) == len(model) <= most
        expected: dict[str, list[int]] = {}
        for one in sorted(model):
            expected.setdefault(thread_of(one), []).append(one)
        assert hints.by_thread() == expected


def test_a_hint_that_keeps_coming_back_is_not_pushed_out() -> None:
    hints = OpenHints(3)
    for sequence in range(2, 100):
        hints.came("stuck", 1)
        hints.came("decided elsewhere", sequence)
    assert hints.by_thread()["stuck"] == [1]
