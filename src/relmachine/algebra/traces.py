"""Sequences of steps up to swaps of independent neighbours: tiers and the Foata normal form.

Source: `docs/math.md` section 1; Cartier and Foata, "Problèmes combinatoires de commutation et réarrangements" (1969).
A dependence is a sequence of masks over step types: bit `j` of `dependent[i]` is set when types `i` and `j` depend on
each other; bit `i` always is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relmachine.algebra.posets import bits


def tiers(dependent: Sequence[int], steps: Sequence[int]) -> list[int]:
    """The tier of each event, from 1, in the order the steps arrive.

    Only the highest tier that a type's dependents have reached is kept, so an event costs as much as its type has
    dependents, whatever the length of the history.
    """
    neighbours = [tuple(bits(mask)) for mask in dependent]
    reached = [0] * len(dependent)
    found: list[int] = []
    for step in steps:
        tier = reached[step] + 1
        for other in neighbours[step]:
            reached[other] = max(reached[other], tier)
        found.append(tier)
    return found


def normal_form(names: Sequence[str] | Mapping[int, str], steps: Sequence[int], step_tiers: Sequence[int]) -> str:
    """The canonical text of a history: its tiers in order, as `(a b)(c)`, the names of a tier sorted.

    `names[i]` is the name of step type `i`; `steps` and `step_tiers` run alike, in any order of events. The empty
    history is the empty text.
    """
    rows: dict[int, list[str]] = {}
    for step, tier in zip(steps, step_tiers, strict=True):
        rows.setdefault(tier, []).append(names[step])
    return "".join(f"({' '.join(sorted(rows[tier]))})" for tier in sorted(rows))
