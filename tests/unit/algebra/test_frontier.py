"""Frontier: the masks over step types give what the whole history gives, on random words over random dependences."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from relmachine.algebra.fibers import Fiber
from relmachine.algebra.frontier import Frontier
from relmachine.algebra.identity import EMPTY_SET, history_id, set_add, set_digest
from tests.unit.algebra.words import GENESIS, Trace, identify, swapped, words

Case = tuple[tuple[int, ...], list[int]]


@settings(max_examples=200)
@given(words(16))
def test_every_event_gets_the_place_that_the_history_gives_it(case: Case) -> None:
    dependent, word = case
    trace = Trace(dependent, tuple(word))
    frontier = Frontier(dependent)
    for x, step in enumerate(word):
        place = frontier.place(step)
        assert list(place.parents) == sorted(trace.ids[y] for y in trace.parents(x))
        assert place.tier == trace.tier(x)
        assert place.covers == sum(1 << word[y] for y in trace.parents(x))
        frontier.push(place, identify(step, word[:x].count(step), place.parents))
        upto = Trace(dependent, tuple(word[: x + 1]))
        assert frontier.maximal_ids() == sorted(upto.history.maximal)
        assert frontier.tier == max(upto.history.tiers.values())
        assert history_id(GENESIS, frontier.maximal_ids()) == upto.history.history_id
    for step, last in frontier.lasts.items():
        place = max(x for x in range(len(word)) if word[x] == step)
        at_or_below = trace.below[place] | {place}
        lasts = {max(x for x in range(len(word)) if word[x] == other): other for other in frontier.lasts}
        assert last.past == sum(1 << other for x, other in lasts.items() if x in at_or_below)


@given(words(), st.integers(0, 14))
def test_a_frontier_goes_on_from_its_parts(case: Case, cut: int) -> None:
    dependent, word = case
    frontier = Frontier(dependent)
    counts = [0] * len(dependent)
    for x, step in enumerate(word):
        if x == cut:
            kept = dict(frontier.lasts)
            before = frontier
            frontier = Frontier(dependent, kept, before.maximal, before.tier)
        place = frontier.place(step)
        frontier.push(place, identify(step, counts[step], place.parents))
        counts[step] += 1
    if cut < len(word):
        assert before.lasts == kept, "what a frontier was made from stays as it was"
    assert frontier.maximal_ids() == sorted(Trace(dependent, tuple(word)).history.maximal)


@given(words())
def test_independent_steps_commute_exactly(case: Case) -> None:
    """γ_s γ_s' = γ_s' γ_s for s I s': equal history id, equal fiber, equal section digest, equal state."""
    dependent, word = case

    def run(steps: tuple[int, ...]) -> tuple[object, ...]:
        frontier, section, asserted = Frontier(dependent), EMPTY_SET, 0
        for x, step in enumerate(steps):
            place = frontier.place(step)
            event = identify(step, steps[:x].count(step), place.parents)
            frontier.push(place, event)
            section = set_add(section, event, f"digest of what {step} wrote")
            asserted |= 1 << step
        points = tuple(f"c{step}" for step in range(len(dependent)) if asserted >> step & 1)
        fiber = Fiber(points, tuple(1 << x for x in range(len(points))), 0, 0)
        head = history_id(GENESIS, frontier.maximal_ids())
        return head, fiber.fiber_id, set_digest(section), frontier.lasts, frontier.maximal, frontier.tier

    for x in range(len(word) - 1):
        other = swapped(dependent, word, x)
        if other is not None:
            assert run(other) == run(tuple(word))
