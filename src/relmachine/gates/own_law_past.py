"""How much of a thread laws of the author's own may be told: the events kept of it, and when there are too many.

A law that sees only some of its events would let steps pass that it forbids. So of each step type as many events are
kept as show that there are too many, and every law that sees such a type refuses the steps that it guards. Whether it
does hangs on the events alone, not on what was kept of them, nor on where turns are cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from relmachine.gates.own_law_facts import Sight, sights
from relmachine.gates.own_law_scene import Scene, Sighting
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan


@dataclass(frozen=True, slots=True)
class Reach:
    """What all laws of a plan together see: the events of the types `steps`, and of what these wrote the `fields`.

    `guarded` are the step types that some law which sees events guards.
    """

    guarded: frozenset[str]
    steps: frozenset[str]
    fields: frozenset[str]

    def characters(self, event: Sighting) -> int:
        """The size of an event, in what laws may see of it."""
        return len(event.principal) + sum(len(text) for name, text in event.written if name in self.fields)


@lru_cache(maxsize=64)
def reach(plan: Plan) -> Reach:
    """Of the laws of `plan`. Errors: `UnreadableError`."""
    known = sights(plan)
    return Reach(
        guarded=frozenset(name for sight in known if sight.steps for name in sight.law.guards),
        steps=frozenset(name for sight in known for name in sight.steps),
        fields=frozenset(name for sight in known for name in sight.law.fields),
    )


class Past:
    """The events of a thread that laws may see, in subject order; `characters` is their size."""

    def __init__(self, plan: Plan, limits: Limits, events: Iterable[Sighting] = ()) -> None:
        self.events: list[Sighting] = []
        self.characters = 0
        self._reach, self._limits = reach(plan), limits
        self._counts, self._sizes = Counter[str](), Counter[str]()
        for event in events:
            self.add(event)

    def add(self, event: Sighting) -> None:
        """One event more, the thread's next."""
        step, limits = event.step, self._limits
        full = self._counts[step] > limits.own_law_facts_max or self._sizes[step] > limits.own_law_facts_bytes_max
        if full or step not in self._reach.steps:
            return
        size = self._reach.characters(event)
        written = tuple(pair for pair in event.written if pair[0] in self._reach.fields)
        self.events.append(event._replace(written=written))
        self._counts[step] += 1
        self._sizes[step] += size
        self.characters += size


def beyond(sight: Sight, scene: Scene, limits: Limits) -> str | None:
    """The limit that the events which the law sees are beyond."""
    seen = [event for event in scene.past if event.step in sight.steps]
    known = reach(sight.plan)
    if sum(known.characters(event) for event in seen) > limits.own_law_facts_bytes_max:
        return "own_law_facts_bytes_max"
    return "own_law_facts_max" if len(seen) > limits.own_law_facts_max else None
