"""What laws of authors' own are asked about: a step, and as much of its thread as such laws may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from relmachine.kernel.candidate import Candidate

Written = tuple[tuple[str, str], ...]
"""(field, canonical JSON of the value) pairs."""


class Sighting(NamedTuple):
    """An event of a thread as laws may see it. `event` is its id, empty while it has none."""

    step: str
    event: str
    principal: str
    written: Written


class Scene(NamedTuple):
    """A step to be judged, and its thread before it: the events in subject order, and the masks of its claims."""

    step: Candidate
    written: Written
    past: Sequence[Sighting]
    asserted: int
    standing: int
    vetoed: int
