"""What a file may say of a machine that only records, as Pydantic forms, and which form stands where in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from relmachine.machine.declaration import FieldTypeName, OnMissing, ReducerName
from relmachine.machine.explicit_form import ExplicitFiberForm, RestrictionForm
from relmachine.machine.given import KindName

_Name = Annotated[str, Field(max_length=256)]
_Names = list[_Name]
_RowsFile = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}\.sql$")]
_LawFile = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}\.lp$")]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FieldForm(_Form):
    """`officers: {type: string, reducer: union}`."""

    type: FieldTypeName
    reducer: ReducerName


class ClaimForm(_Form):
    """`checked: {requires: [received]}`."""

    requires: _Names = []


class MemberForm(_Form):
    """`channel: {type: string, required: true}`, or the type alone."""

    type: FieldTypeName
    required: bool = False

    @model_validator(mode="before")
    @classmethod
    def _type_alone(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value


class StepForm(_Form):
    """`t02: {kind: process, asserts: [checked], writes: {officers: resource}, payload: {note: string}}`."""

    kind: KindName
    asserts: _Names = []
    contests: _Names = []
    vetoes: _Names = []
    reads: _Names = []
    writes: dict[_Name, _Name] = {}
    payload: dict[_Name, MemberForm] = {}
    on_missing: OnMissing = "refuse"
    hold_seconds: float | None = None


class XesForm(_Form):
    """Activity to step, and payload member and principal to `event:<key>` or `trace:<key>`."""

    names: dict[str, _Name] = {}
    payload: dict[_Name, str] = {}
    principal: str = ""


class IngestForm(_Form):
    """`ingest: {xes: …}`."""

    xes: XesForm = XesForm()


class MachineForm(_Form):
    """The file."""

    machine: _Name
    version: _Name
    fields: dict[_Name, FieldForm] = {}
    claims: dict[_Name, ClaimForm] = {}
    fibers: dict[_Name, ExplicitFiberForm] = {}
    restrictions: list[RestrictionForm] = []
    tables: _RowsFile | None = None
    steps: dict[_Name, StepForm] = {}
    independent: list[Annotated[_Names, Field(min_length=2, max_length=2)]] = []
    dependent: list[Annotated[_Names, Field(min_length=2, max_length=2)]] = []
    constraints: list[_LawFile] = []
    ingest: IngestForm = IngestForm()


def form_at(location: list[str]) -> type[BaseModel]:
    """The form that stands at `location` of the file."""
    match location:
        case ["fields", _]:
            return FieldForm
        case ["claims", _]:
            return ClaimForm
        case ["fibers", _]:
            return ExplicitFiberForm
        case ["restrictions", _]:
            return RestrictionForm
        case ["steps", _]:
            return StepForm
        case ["steps", _, "payload", *_]:
            return MemberForm
        case ["ingest"]:
            return IngestForm
        case ["ingest", "xes"]:
            return XesForm
        case _:
            return MachineForm
