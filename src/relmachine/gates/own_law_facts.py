"""What a law of the author's own sees of a step and of the thread before it, as facts of the lifted program.

Nothing is decided here. A law sees the events of the step types it reads and of those that touch the claims or write
the fields it reads. All these depend on the steps it guards, so every one of them that came before lies in the step's
causal past, and what is seen is the same in every order of steps that commute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from relmachine.algebra.frontier import Frontier
from relmachine.gates.own_law_program import CASE, Lifted, lifted
from relmachine.gates.own_law_scene import Scene, Sighting
from relmachine.gates.own_law_terms import text_term, value_term
from relmachine.gates.own_law_vocabulary import OF_EVENTS, THIS
from relmachine.kernel.standing import effective, touches
from relmachine.machine.footprint import footprint_of, law_reads, seen_by
from relmachine.machine.own_law import OwnLaw
from relmachine.machine.plan import Plan


@dataclass(frozen=True, slots=True)
class Sight:
    """A law with what of `plan` it sees. `steps` are the step types whose events it sees, none if it never asks."""

    plan: Plan
    lifted: Lifted
    steps: frozenset[str]
    dependent: tuple[int, ...]

    @property
    def law(self) -> OwnLaw:
        """The law itself."""
        return self.lifted.law


@lru_cache(maxsize=64)
def sights(plan: Plan) -> tuple[Sight, ...]:
    """Every law of the plan. Errors: `UnreadableError`."""
    return tuple(_sight(plan, law) for law in plan.own_laws)


def _sight(plan: Plan, law: OwnLaw) -> Sight:
    ready = lifted(law)
    reads = law_reads((law,), lambda claim: plan.claim_names(plan.claims[plan.claim_index[claim]].up))
    steps = {step.name for step in plan.steps if seen_by(reads, footprint_of(plan, step.index))}
    asked = steps if ready.looks & OF_EVENTS else set[str]()
    visible = sum(1 << plan.step_index[name] for name in asked)
    return Sight(plan, ready, frozenset(asked), tuple(mask & visible for mask in plan.dependent))


def terms(sight: Sight, scene: Scene) -> dict[str, Sighting]:
    """The events that the law sees, by the term they are called."""
    counts: Counter[str] = Counter()
    found: dict[str, Sighting] = {}
    for event in scene.past:
        if event.step in sight.steps:
            counts[event.step] += 1
            found[f'e("{event.step}",{counts[event.step]})'] = event
    return found


def facts(sight: Sight, scene: Scene, number: int) -> list[str]:
    """The facts of case `number`, each as text; only of what the law's rules look at. Errors: `NoNumberError`."""
    plan, looks = sight.plan, sight.lifted.looks
    seen = terms(sight, scene)
    lines = [f"{CASE}({number})."]
    if "candidate" in looks:
        lines.append(f"candidate({number},{THIS}).")
    if "event" in looks:
        lines += [f"event({number},{term})." for term in seen]
    if "parent" in looks:
        lines += _parents(sight, scene, seen, number)
    own = Sighting(scene.step.step, "", scene.step.principal, scene.written)
    for term, event in ((THIS, own), *seen.items()):
        lines += _of_event(sight, term, event, number)
    alive = scene.standing & ~scene.vetoed
    for word, mask in (
        ("asserted", scene.asserted),
        ("contested", scene.asserted & ~scene.standing),
        ("vetoed", scene.vetoed),
        ("effective", effective(plan, alive)),
    ):
        if word in looks:
            lines += [f'{word}({number},"{name}").' for name in sight.law.claims if mask >> plan.claim_index[name] & 1]
    return lines


def _of_event(sight: Sight, term: str, event: Sighting, number: int) -> Iterator[str]:
    law, looks, plan = sight.law, sight.lifted.looks, sight.plan
    if "step" in looks:
        yield f'step({number},{term},"{event.step}").'
    if "principal" in looks and event.step in law.principals:
        yield f"principal({number},{term},{text_term(event.principal)})."
    if "value" in looks:
        for name, text in event.written:
            looked = sight.lifted.fields is None or name in sight.lifted.fields
            if looked and (term == THIS or name in law.fields):
                yield f'value({number},{term},"{name}",{value_term(plan.fields[name], text)}).'
    for word, touch in _TOUCHES:
        if word in looks:
            for claim, kind in touches(plan, plan.step_index[event.step]):
                if kind == touch:
                    yield f'{word}({number},{term},"{claim}").'


_TOUCHES = (("asserts", "assert"), ("contests", "contest"), ("vetoes", "veto"))


def _parents(sight: Sight, scene: Scene, seen: Mapping[str, Sighting], number: int) -> Iterator[str]:
    """Which visible events come right before which, in the history of the visible ones alone."""
    index = sight.plan.step_index
    frontier = Frontier(sight.dependent)
    for term, event in seen.items():
        place = frontier.place(index[event.step])
        yield from (f"parent({number},{term},{parent})." for parent in place.parents)
        frontier.push(place, term)
    for parent in frontier.place(index[scene.step.step]).parents:
        yield f"parent({number},{THIS},{parent})."
