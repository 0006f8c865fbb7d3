"""Section snapshots: per field the contributions that still decide its value, so that a long section reads fast.

A snapshot is taken when a thread has grown by as much as it held at the last one, so a step's share of the cost is
constant however long the thread becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from relmachine.algebra.reducers import Scalar, fold, parse
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Reducer

Contributions = dict[str, list[Scalar]]
"""Values by field, in subject order."""


def is_due(depth: int, snapshot_depth: int, every: int) -> bool:
    """Whether a thread with `depth` events, and `snapshot_depth` at its last snapshot, gets one now."""
    return depth - snapshot_depth >= max(every, snapshot_depth)


def gather(into: Contributions, rows: Iterable[tuple[str, str]]) -> None:
    """Add (field, canonical text of a value) pairs, in subject order."""
    for name, text in rows:
        into.setdefault(name, []).append(parse(text))


def snapshot_text(contributions: Contributions, reducers: Mapping[str, Reducer]) -> str:
    """The `section_data` of a snapshot: canonical JSON of the contributions that still count."""
    return canonical_text({name: still_counting(reducers[name], values) for name, values in contributions.items()})


def parse_snapshot(text: str) -> Contributions:
    """Inverse of `snapshot_text`."""
    return cast(Contributions, parse(text))


def still_counting(reducer: Reducer, values: list[Scalar]) -> list[Scalar]:
    """A shorter list that folds to the same value, also with more values after it.

    A sum is kept as its terms unless it is whole: a rounded one could not be added to exactly.
    """
    folded = fold(reducer, values)
    if isinstance(folded, list):
        return folded
    if reducer is Reducer.SUM and not (isinstance(folded, int) and all(isinstance(value, int) for value in values)):
        return values
    return [folded]
