"""Random dependences and words of steps, and the trace of a word by its definition: a transitive closure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from hypothesis import strategies as st

from relmachine.algebra.identity import event_id, genesis_id
from tests.oracles.histories import Event, History

NAMES = "abcdefgh"
GENESIS = genesis_id("laws", "machine", "thread")


@st.composite
def dependences(draw: st.DrawFn, largest: int = 6) -> tuple[int, ...]:
    """A symmetric and reflexive dependence over up to `largest` step types."""
    size = draw(st.integers(1, largest))
    masks = [1 << x for x in range(size)]
    for x, y in combinations(range(size), 2):
        if draw(st.booleans()):
            masks[x] |= 1 << y
            masks[y] |= 1 << x
    return tuple(masks)


@st.composite
def words(draw: st.DrawFn, longest: int = 14) -> tuple[tuple[int, ...], list[int]]:
    """A dependence and a word of steps over it."""
    dependent = draw(dependences())
    return dependent, draw(st.lists(st.integers(0, len(dependent) - 1), max_size=longest))


def identify(step: int, occurrence: int, parents: Sequence[str]) -> str:
    """Id of the `occurrence`-th event of type `step`: its key travels with it when the word is reordered."""
    return event_id(GENESIS, NAMES[step], f'["src","{NAMES[step]}{occurrence}"]', "payload", "written", parents)


@dataclass(frozen=True)
class Trace:
    """The trace of a word, from the definition only: events are places in the word."""

    dependent: tuple[int, ...]
    word: tuple[int, ...]

    @cached_property
    def below(self) -> list[set[int]]:
        """For each place all places strictly below it: the transitive closure of dependence and earlier."""
        found: list[set[int]] = []
        for place, step in enumerate(self.word):
            direct = [x for x in range(place) if self.dependent[step] >> self.word[x] & 1]
            found.append(set(direct).union(*(found[x] for x in direct)))
        return found

    def parents(self, place: int) -> set[int]:
        """Covering predecessors: those below with none between."""
        below = self.below[place]
        return {x for x in below if not any(x in self.below[y] for y in below)}

    def tier(self, place: int) -> int:
        """Length of the longest chain that ends here."""
        return 1 + max((self.tier(x) for x in self.below[place]), default=0)

    @cached_property
    def ids(self) -> list[str]:
        """Id of the event at each place."""
        found: list[str] = []
        for place, step in enumerate(self.word):
            occurrence = self.word[:place].count(step)
            found.append(identify(step, occurrence, [found[x] for x in self.parents(place)]))
        return found

    @cached_property
    def history(self) -> History:
        """The same trace as a value of the code under test."""
        return History.of(
            GENESIS,
            [
                Event(self.ids[x], step, frozenset(self.ids[y] for y in self.parents(x)))
                for x, step in enumerate(self.word)
            ],
        )

    def maximal(self) -> set[int]:
        """Places that no place is above."""
        return set(range(len(self.word))).difference(*self.below)

    def prefixes(self) -> list[History]:
        """Every downward closed set of events as a history."""
        size = len(self.word)
        closed = [
            mask
            for mask in range(1 << size)
            if all(mask >> y & 1 for x in range(size) if mask >> x & 1 for y in self.below[x])
        ]
        events = self.history.events
        return [History.of(GENESIS, [events[self.ids[x]] for x in range(size) if mask >> x & 1]) for mask in closed]


def swapped(dependent: Sequence[int], word: Sequence[int], place: int) -> tuple[int, ...] | None:
    """The word with the neighbours at `place` swapped, or None when they are dependent."""
    if dependent[word[place]] >> word[place + 1] & 1:
        return None
    return (*word[:place], word[place + 1], word[place], *word[place + 2 :])
