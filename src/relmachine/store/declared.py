"""The wire form of a plan: what the text in `plans.declaration` holds. Claims and steps are named, not numbered."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from relmachine.machine.declaration import OnMissing
from relmachine.machine.plan import FieldType, Kind, Reducer


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class DeclaredClaim(_Wire):
    """A claim by name; `requires` are its direct prerequisites."""

    name: str
    requires: list[str]
    stable_saturation: bool
    stable_transfer: bool
    vetoable: bool


class DeclaredStep(_Wire):
    """A step type: what it touches, what must be effective before it, and what it depends on."""

    name: str
    kind: Kind
    asserts: list[str]
    contests: list[str]
    vetoes: list[str]
    needs: list[str]
    reads: list[str]
    writes: list[str]
    recorded: dict[str, str]
    dependent: list[str]
    targets: list[str] | None = None
    """Steps that it may propose; not there in one that proposes none."""
    on_missing: OnMissing | None = None
    """`defer`; not there in one that is refused while something is missing."""


class DeclaredField(_Wire):
    """A field of the accord."""

    name: str
    type: FieldType
    reducer: Reducer


class DeclaredLaw(_Wire):
    """A law of the author's own: its name and its text."""

    name: str
    text: str


class Declared(_Wire):
    """The whole declaration."""

    machine: str
    version: str
    laws_digest: str
    digest: str
    matrix_digest: str
    claims: list[DeclaredClaim]
    steps: list[DeclaredStep]
    fields: list[DeclaredField]
    own_laws: list[DeclaredLaw] | None = None
    """Not there in a machine that has none."""
