"""What the calls that declare a step or a tool are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from pydantic import BaseModel

from relmachine.machine.carried import Carried, Durable
from relmachine.machine.declaration import Claim, Field, Member, OnMissing

Claims = Sequence[Claim | str]
Writes = Mapping[Field, str] | Mapping[str, str] | Sequence[Field | str]
Payload = type[BaseModel] | Sequence[Member]
KindName = Literal["process", "derivation", "procedure", "inquiry"]


class Touches(TypedDict, total=False):
    """What a step touches, by handle or by name. `writes` maps fields to payload members where it is recorded.

    `on_missing` says what becomes of it while what it needs is not effective: "refuse", which is what is done without
    it, or "defer", which holds it for at most `hold_seconds` (`docs/deferred.md`).
    """

    asserts: Claims
    contests: Claims
    vetoes: Claims
    reads: Sequence[Claim | Field | str]
    writes: Writes
    on_missing: OnMissing
    hold_seconds: float | None


class Computing(Touches, Durable, total=False):
    """What a Process is given."""


class Asking(Touches, Carried, total=False):
    """What a step that asks a model is given."""


class ToolBounds(TypedDict, total=False):
    """Bounds of a tool; see `machine.runs.Tool`."""

    trusted: bool
    seconds: float
    memory_bytes: int
    output_bytes: int
