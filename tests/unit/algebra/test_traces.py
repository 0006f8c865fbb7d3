"""Traces: tiers and the Foata normal form are those of the partial order, and a normal form tells traces apart."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import given

from relmachine.algebra.traces import normal_form, tiers
from tests.unit.algebra.words import NAMES, Trace, swapped, words


def foata(trace: Trace) -> str:
    """Peel off the minimal events again and again."""
    left = set(range(len(trace.word)))
    text = ""
    while left:
        minimal = {x for x in left if not trace.below[x] & left}
        text += f"({' '.join(sorted(NAMES[trace.word[x]] for x in minimal))})"
        left -= minimal
    return text


def written(dependent: tuple[int, ...], word: tuple[int, ...]) -> str:
    return normal_form(NAMES, word, tiers(dependent, word))


@given(words())
def test_tiers_are_longest_chains(case: tuple[tuple[int, ...], list[int]]) -> None:
    dependent, word = case
    trace = Trace(dependent, tuple(word))
    assert tiers(dependent, word) == [trace.tier(place) for place in range(len(word))]


@given(words())
def test_normal_form_is_what_peeling_gives(case: tuple[tuple[int, ...], list[int]]) -> None:
    dependent, word = case
    assert written(dependent, tuple(word)) == foata(Trace(dependent, tuple(word)))


def test_normal_form_tells_traces_apart() -> None:
    """All words of up to five steps over every dependence of three types: equal text iff joined by swaps."""
    for chosen in product((False, True), repeat=3):
        dependent = [1, 2, 4]
        for (x, y), there in zip(combinations(range(3), 2), chosen, strict=True):
            if there:
                dependent[x] |= 1 << y
                dependent[y] |= 1 << x
        masks = tuple(dependent)
        for length in range(6):
            classes: dict[str, set[tuple[int, ...]]] = {}
            for word in product(range(3), repeat=length):
                classes.setdefault(written(masks, word), set()).add(word)
            assert all(_joined_by_swaps(masks, next(iter(same))) == same for same in classes.values())


def _joined_by_swaps(dependent: tuple[int, ...], word: tuple[int, ...]) -> set[tuple[int, ...]]:
    found, waiting = {word}, [word]
    while waiting:
        here = waiting.pop()
        for place in range(len(here) - 1):
            other = swapped(dependent, here, place)
            if other is not None and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def test_the_text() -> None:
    # check and assess are independent of each other and both follow receive; send follows check only
    names = ["assess", "check", "receive", "send"]
    dependent = [0b0101, 0b1110, 0b0111, 0b1010]
    word = [2, 1, 0, 3]
    assert normal_form(names, word, tiers(dependent, word)) == "(receive)(assess check)(send)"
    assert normal_form(names, [3, 1, 2, 0], [3, 2, 1, 2]) == "(receive)(assess check)(send)"
    assert normal_form(names, [], []) == ""
    assert tiers(dependent, []) == []
