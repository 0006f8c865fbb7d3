"""Which checkpoints of a thread must stay so that the latest ones can still be read. Pure.

LangGraph's delta channels keep a value only now and then; between two of these, a value is what the ancestors wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Name = tuple[str, str]
"""Namespace and id of a checkpoint."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A checkpoint in its thread: `deltas` are the channels kept as deltas, `whole` those with a value here."""

    name: Name
    parent: str | None
    deltas: frozenset[str]
    whole: frozenset[str]


def dropped_but_latest(checkpoints: Sequence[Ancestor]) -> list[Name]:
    """All but the latest of each namespace and the ancestors that its deltas rest on; newest first in, and out."""
    known = {one.name: one for one in checkpoints}
    latest: dict[str, Ancestor] = {}
    for one in checkpoints:
        latest.setdefault(one.name[0], one)
    kept: set[Name] = set()
    for one in latest.values():
        _keep(one, known, kept)
    return [one.name for one in checkpoints if one.name not in kept]


def _keep(latest: Ancestor, known: Mapping[Name, Ancestor], kept: set[Name]) -> None:
    missing, at = latest.deltas - latest.whole, latest
    kept.add(at.name)
    while missing and at.parent is not None:
        ancestor = known.get((at.name[0], at.parent))
        if ancestor is None or ancestor.name in kept:
            return
        kept.add(ancestor.name)
        missing, at = missing - ancestor.whole, ancestor
