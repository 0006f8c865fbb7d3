"""Facts of what turns would add to the order of histories and to sections, in as few lines as the laws allow.

A fact is written only where something could disagree; `docs/constraints.md` says why that loses nothing. A turn takes a
block of numbers: one for the history before it, with all its events, then one for each step, which stands for the
step's event and for the history that ends with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Sequence
from operator import itemgetter
from typing import TypeVar

from orjson import loads

from relmachine.gates.constraint_facts import Numbers
from relmachine.kernel.proposal import Proposal

TURN_PROGRAMS = ("prefix_order_covers", "sheaf_conditions_turns")
"""The programs that read these facts."""

_Key = TypeVar("_Key", bound=Hashable)
_Place = tuple[int | str, int]  # number and tier of an event
_ABSENT: _Place = ("#sup", -1)
_NONE: _Place = (0, 0)


class TurnFacts:
    """The facts of a round's turns, as `text`, numbered from `first` on. `once` names the `once` fields."""

    def __init__(self, proposals: Sequence[Proposal], once: frozenset[str], first: int) -> None:
        self._proposals, self._once = proposals, once
        self._starts: list[int] = []
        self._names = {kind: Numbers() for kind in ("field", "value", "shared", "rewritten", "stray")}
        self._lines: list[str] = []
        self._told_again = _repeated([row[:2] for proposal in proposals for row in proposal.contributions])
        self._rewritten = _repeated([row.history_id for proposal in proposals for row in proposal.histories])
        for proposal in proposals:
            self._starts.append(first)
            if proposal.events:
                self._order(proposal, first)
                self._values(proposal, first)
                self._repeats(proposal, first)
            first += 1 + len(proposal.events)
        self.text = "".join(self._lines)

    def place(self, number: int) -> tuple[int, int]:
        """The proposal that a step's number belongs to, and the step's place in it; -1 for the history before."""
        turn = bisect_right(self._starts, number) - 1
        return turn, number - self._starts[turn] - 1

    def name(self, kind: str, number: int) -> str:
        """What a number in a witness stands for: an id, a field, or the canonical JSON of a value."""
        if kind in self._names:
            return self._names[kind].name(number)
        turn, place = self.place(number)
        proposal = self._proposals[turn]
        if kind == "event":
            return proposal.events[place].event_id
        return proposal.histories[place].history_id if place >= 0 else proposal.before.head

    def _order(self, proposal: Proposal, start: int) -> None:
        """A `step` for each event, joined from its rows."""
        write, before = self._lines.append, proposal.before
        events: dict[str, _Place] = {last.event_id: (start, last.tier) for last in before.lasts.values()}
        for number, event in enumerate(proposal.events, start + 1):
            events.setdefault(event.event_id, (number, event.tier))
        histories = {before.head: (start, before.depth)}
        rows = zip(proposal.events, proposal.thread_events, proposal.histories, proposal.extensions, strict=True)
        for number, (event, placed, history, extension) in enumerate(rows, start + 1):
            target, depth, tier = history.history_id, history.depth, event.tier
            assert placed.event_id == event.event_id, "the rows of a proposal stand in the order of its events"
            assert placed.history_id == target == extension.target, "the rows of a step name one history"
            parent, height = _NONE
            if event.parents != "[]":
                (parent, height), *others = _highest_first([events.get(one, _ABSENT) for one in loads(event.parents)])
                for other, lower in others:
                    write(f"beside({number},{tier},{other},{lower}).")
            source = histories[extension.source][1] if extension.source in histories else "#sup"
            write(f"step({number},{source},{depth},{tier},{parent},{height}).")
            if events[event.event_id][0] != number:
                write(f"again({number}).")
            earlier = histories.setdefault(target, (number, depth))
            if earlier[0] != number:
                write(f"same({number},{depth},{earlier[0]},{earlier[1]}).")

    def _values(self, proposal: Proposal, start: int) -> None:
        """The values of the `once` fields that the turn writes, and contributions of events it does not add."""
        before, numbers = proposal.before.values, _numbers(proposal, start)
        fields, values = self._names["field"], self._names["value"]
        compared: set[str] = set()
        for event, field, value in [row for row in proposal.contributions if row[1] in self._once]:
            if event not in numbers:
                continue  # told as a stray
            if field in before and field not in compared:
                self._lines.append(f"value({start},{fields.of(field)},{start},{values.of(before[field])}).")
            compared.add(field)
            self._lines.append(f"value({start},{fields.of(field)},{numbers[event]},{values.of(value)}).")
        for event in {row[0] for row in proposal.contributions}.difference(numbers):
            self._lines.append(f"stray({start + 1},{self._names['stray'].of(event)}).")

    def _repeats(self, proposal: Proposal, start: int) -> None:
        """What the round tells more than once: a contribution of one event to one field, the section of a history."""
        names = self._names
        if self._told_again:
            numbers = _numbers(proposal, start)
            for event, field, value in proposal.contributions:
                if (event, field) in self._told_again and event in numbers:
                    told = f"{names['shared'].of(event)},{names['field'].of(field)},{numbers[event]}"
                    self._lines.append(f"told({told},{names['value'].of(value)}).")
        if self._rewritten:
            for number, row in enumerate(proposal.histories, start + 1):
                if row.history_id in self._rewritten:
                    section = names["value"].of(row.section_digest)
                    self._lines.append(f"section({names['rewritten'].of(row.history_id)},{number},{section}).")


def _numbers(proposal: Proposal, start: int) -> dict[str, int]:
    """Numbers of the turn's events, by id."""
    return {event.event_id: number for number, event in enumerate(proposal.events, start + 1)}


def _highest_first(places: list[_Place]) -> list[_Place]:
    """The covering predecessors of an event, one of the highest tier first."""
    if len(places) > 1:
        places.sort(key=itemgetter(1), reverse=True)
    return places


def _repeated(keys: Sequence[_Key]) -> set[_Key]:
    """The keys that occur more than once."""
    if len(set(keys)) == len(keys):
        return set()
    return {key for key, times in Counter(keys).items() if times > 1}
