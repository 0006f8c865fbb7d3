"""A family of mutants: how one is drawn, what it really breaks, what the programs say of it; how a family is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from tests.mutations.definitions import Broken

T = TypeVar("T")

DRAWS_MAX = 400_000


@dataclass(frozen=True, slots=True)
class Drawn(Generic[T]):
    """A mutant. `subject` names what was mutated (a fiber, a pair, a thread), `cell` which cell and how."""

    subject: str
    cell: object
    mutant: T


@dataclass(frozen=True, slots=True)
class Family(Generic[T]):
    """One or more laws, and mutants that break one of them.

    `draw` changes one cell at a random place; None where that place has no other value. `broken` is the independent
    check, `ask` the programs: (law, witness) of each mutant asked about. `size` of a mutant bounds how many are asked
    about at once.
    """

    name: str
    laws: frozenset[str]
    draw: Callable[[Random], Drawn[T] | None]
    broken: Callable[[T], Broken]
    ask: Callable[[Sequence[T]], Sequence[Broken]]
    size: Callable[[T], int]


@dataclass(slots=True)
class Result:
    """What became of a family. `mutants` break a law of the family, `others` only laws of other families, or none."""

    name: str
    mutants: int = 0
    others: int = 0
    subjects: set[str] = field(default_factory=set[str])
    laws: Counter[str] = field(default_factory=Counter[str])
    mismatches: list[str] = field(default_factory=list[str])


_ASKED_AT_ONCE = 120_000


def run(family: Family[T], rng: Random, wanted: int) -> Result:
    """Draw until `wanted` different mutants break a law of the family; ask the programs about every mutant drawn."""
    result = Result(family.name)
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[Drawn[T], Broken]] = []
    size = 0
    for _ in range(DRAWS_MAX):
        drawn = family.draw(rng)
        if drawn is None or (drawn.subject, repr(drawn.cell)) in seen:
            continue
        broken = family.broken(drawn.mutant)
        hit = any(law in family.laws for law, _ in broken)
        if not hit and result.others > wanted:
            continue  # enough of those: the programs agreed on them
        seen.add((drawn.subject, repr(drawn.cell)))
        result.laws.update({law for law, _ in broken})
        if hit:
            result.mutants += 1
            result.subjects.add(drawn.subject)
        else:
            result.others += 1
        waiting.append((drawn, broken))
        size += family.size(drawn.mutant)
        if size > _ASKED_AT_ONCE:
            _compare(family, waiting, result)
            waiting, size = [], 0
        if result.mutants == wanted:
            break
    _compare(family, waiting, result)
    return result


def _compare(family: Family[T], drawn: Sequence[tuple[Drawn[T], Broken]], result: Result) -> None:
    if not drawn:
        return
    answers = family.ask([item.mutant for item, _ in drawn])
    for (item, broken), answer in zip(drawn, answers, strict=True):
        if answer != broken:
            missed, invented = sorted(map(str, broken - answer)), sorted(map(str, answer - broken))
            result.mismatches.append(f"{item.subject} {item.cell}: missed {missed[:3]}, invented {invented[:3]}")


def by_subject(violations: Iterable[tuple[int, str, tuple[object, ...]]], subjects: int) -> list[Broken]:
    """Violations of many subjects, one set for each."""
    found: list[Broken] = [set() for _ in range(subjects)]
    for subject, law, witness in violations:
        found[subject].add((law, witness))
    return found
