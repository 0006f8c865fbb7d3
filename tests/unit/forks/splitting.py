"""A history split by random: a downward closed prefix, and two continuations that are independent of each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from relmachine.machine.plan import Plan

_Step = TypeVar("_Step")


def split(
    plan: Plan, steps: Sequence[_Step], name: Callable[[_Step], str], rng: random.Random
) -> tuple[list[_Step], list[_Step], list[_Step]]:
    """`steps` as a prefix and two continuations, each in the order of `steps`.

    The rest after the prefix falls into parts that depend on each other only inside; each part goes to one side.
    """
    types = [plan.step_index[name(step)] for step in steps]
    keep = rng.random()
    inside: list[bool] = []
    for place, kind in enumerate(types):
        free = all(inside[earlier] for earlier in range(place) if plan.dependent[kind] >> types[earlier] & 1)
        inside.append(free and rng.random() < keep)
    rest = [place for place in range(len(steps)) if not inside[place]]
    part = {place: place for place in rest}
    for place in rest:
        for earlier in rest:
            if plan.dependent[types[place]] >> types[earlier] & 1 and part[place] != part[earlier]:
                joined, into = part[place], part[earlier]
                part = {one: into if member == joined else member for one, member in part.items()}
    side = {member: rng.random() < 0.5 for member in set(part.values())}
    return (
        [steps[place] for place in range(len(steps)) if inside[place]],
        [steps[place] for place in rest if side[part[place]]],
        [steps[place] for place in rest if not side[part[place]]],
    )
