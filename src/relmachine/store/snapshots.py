"""Section snapshots: per field the contributions that still decide its value, so that a long section reads fast.

A snapshot is taken when a thread has grown by as much as it held at the last one, so a step's share of the cost is
constant however long the thread becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import orjson

from relmachine.algebra.reducers import Scalar, fold, parse
from relmachine.machine.plan import Reducer

Texts = dict[str, list[str]]
"""Canonical texts of contributions by field, in subject order."""

Values = dict[str, list[Scalar]]
"""Contributions by field, in subject order."""


def is_due(depth: int, snapshot_depth: int, every: int) -> bool:
    """Whether a thread with `depth` events, and `snapshot_depth` at its last snapshot, gets one now."""
    return depth - snapshot_depth >= max(every, snapshot_depth)


def gather(into: Texts, rows: Iterable[tuple[str, str]]) -> None:
    """Add (field, canonical text of a value) pairs, in subject order."""
    for name, text in rows:
        into.setdefault(name, []).append(text)


def parse_all(texts: Texts) -> Values:
    """The contributions in `texts`."""
    return {name: _parsed(some) for name, some in texts.items()}


def snapshot_text(texts: Texts, reducers: Mapping[str, Reducer]) -> str:
    """The `section_data` of a snapshot: canonical JSON of the contributions that still count."""
    members = [
        f"{orjson.dumps(name).decode()}:[{','.join(still_counting(reducers[name], some))}]"
        for name, some in sorted(texts.items())
    ]
    return f"{{{','.join(members)}}}"


def parse_snapshot(text: str) -> Values:
    """The contributions in a snapshot."""
    return cast(Values, parse(text))


def still_counting(reducer: Reducer, texts: list[str]) -> list[str]:
    """A shorter list that folds to the same value, also with more contributions after it.

    A sum is kept as its terms unless it is whole: a rounded one could not be added to exactly.
    """
    match reducer:
        case Reducer.LOG:
            return texts
        case Reducer.ONCE:
            return texts[:1]
        case Reducer.UNION:
            return sorted(set(texts))
        case Reducer.MAX | Reducer.MIN:
            values = _parsed(texts)
            return [texts[values.index(cast(Scalar, fold(reducer, values)))]]
        case Reducer.SUM:
            values = _parsed(texts)
            total = fold(reducer, values)
            whole = isinstance(total, int) and all(isinstance(value, int) for value in values)
            return [str(total)] if whole else texts


def _parsed(texts: list[str]) -> list[Scalar]:
    return cast("list[Scalar]", parse(f"[{','.join(texts)}]"))
