"""Answers about obstructions, and what is sent to fork, merge and resolve."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from relmachine.kernel.envelope import ANONYMOUS
from relmachine.observe.answers import Answer


class Asking(BaseModel):
    """Base of what is sent: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: Annotated[str | None, Field(max_length=256, description="Repeat with the same id to repeat safely")] = None
    source: Annotated[str, Field(min_length=1, max_length=256, description="Who asks: with id, the key")] = "http"
    principal: Annotated[str, Field(min_length=1, max_length=256, description="On whose behalf")] = ANONYMOUS


class ForkAsked(Asking):
    """Begin a new thread at a history that this one had."""

    at: str | int | None = Field(default=None, description="History id or stream sequence; absent for the present")
    name: str | None = Field(default=None, alias="as", description="Token of the new thread; made up when absent")


class MergeAsked(Asking):
    """Take over what another thread of the same root has, and close it."""

    other: str = Field(alias="from", description="Token of the thread that is merged into this one")


class ResolutionAsked(Asking):
    """Say which side of an obstruction stays."""

    keep: str = Field(description="Token of the thread whose side stays")
    reason: str = Field(min_length=1, max_length=1000, description="Why, for whoever reads it later")


class SideEvent(Answer):
    """An event of a side, where it came in that side's thread."""

    event: str
    step: str
    sequence: int
    step_key: str
    principal: str


class Side(Answer):
    """What one thread has."""

    thread: str
    value: str = Field(description="Canonical JSON of what it wrote into the field; empty when no field differs")
    events: list[SideEvent]


class Resolution(Answer):
    """The side of thread `keep` stays."""

    sequence: int
    keep: str
    reason: str
    principal: str


class ObstructionLine(Answer):
    """What keeps a thread from being merged into another."""

    obstruction: str = Field(description="Its id")
    thread: str = Field(description="The thread that was to go on")
    other: str = Field(description="The thread that was to be merged into it")
    sequence: int = Field(description="Stream sequence of the merge that met it first")
    disagreement: str = Field(description="dependent, once or step_key")
    field: str = Field(description="The `once` field on which they differ; else empty")
    witness: list[object] = Field(description="Why the two steps depend on each other: rule, witness and sentence")
    resolution: Resolution | None = Field(description="Null while it is open")


class Obstructions(Answer):
    """Obstructions, those met last first."""

    obstructions: list[ObstructionLine]


class Obstruction(ObstructionLine):
    """An obstruction with its two sides, both kept."""

    sides: list[Side]
