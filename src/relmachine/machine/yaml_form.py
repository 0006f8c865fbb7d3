"""The YAML form of a machine that only records: its file format, and what each mistake in it teaches."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Hashable
from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relmachine.errors import Code, RelmError
from relmachine.machine.declaration import FieldTypeName, Member, OnMissing, ReducerName
from relmachine.machine.explicit import points_of
from relmachine.machine.explicit_form import ExplicitFiberForm, RestrictionForm, explicit_of
from relmachine.machine.explicit_rows import explicit_of_rows
from relmachine.machine.machine import KindName, Machine
from relmachine.machine.plan import FieldType
from relmachine.machine.report import Law

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


def _no_file(file: str) -> str:
    raise RelmError(Code.MACHINE_INVALID, f"a machine that is no file has no file {file!r} beside it", file=file)


def parse_machine(text: str, beside: Callable[[str], str] = _no_file) -> Machine:
    """The machine that `text` declares, broken or not; a name given twice is left for `check`.

    `beside` gives the text of a file that lies beside the machine's own.
    Errors: `machine_invalid` when the text is not YAML or not of this form, with line or key and what to write.
    """
    value, repeated = _read(text)
    if value is None:
        sentence = "the file declares nothing: write the keys machine, version and steps"
        raise RelmError(Code.MACHINE_INVALID, sentence)
    try:
        form = MachineForm.model_validate(value)
    except ValidationError as error:
        lines = _lessons(error)
        raise RelmError(Code.MACHINE_INVALID, "; ".join(lines), problems=lines) from error
    machine = _machine(form, beside)
    for file in form.constraints:
        machine.law(file.removesuffix(".lp"), beside(file))
    for name, line in repeated:
        sentence = f"{name!r} on line {line} is declared twice: rename one, or remove it"
        machine.declaration.note(Law.NAMES_UNIQUE, sentence, name=name, line=line)
    return machine


def _read(text: str) -> tuple[object, list[tuple[str, int]]]:
    """The YAML value in `text`, and the keys given twice with their lines."""
    try:
        loader = _Loader(text)
        return loader.get_single_data(), loader.repeated
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        advice = ": indent with spaces, not with tabs" if "\\t" in str(error.problem) else ""
        raise RelmError(Code.MACHINE_INVALID, f"line {line} is not YAML: {error.problem}{advice}", line=line) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RelmError(Code.MACHINE_INVALID, f"this is not YAML: {error}") from error


def _machine(form: MachineForm, beside: Callable[[str], str]) -> Machine:
    machine = Machine(form.machine, version=form.version)
    for name, item in form.fields.items():
        machine.field(name, item.type, reducer=item.reducer)
    for name, claim in form.claims.items():
        machine.claim(name, requires=claim.requires)
    _declare_tables(machine, form, beside)
    for name, step in form.steps.items():
        machine.step(
            name,
            kind=step.kind,
            payload=[Member(key, FieldType(item.type), item.required) for key, item in step.payload.items()],
            asserts=step.asserts,
            contests=step.contests,
            vetoes=step.vetoes,
            reads=step.reads,
            writes=step.writes,
            on_missing=step.on_missing,
            hold_seconds=step.hold_seconds,
        )
    for one, other in form.independent:
        machine.independent(one, other)
    for one, other in form.dependent:
        machine.dependent(one, other)
    log = form.ingest.xes
    machine.ingest_xes(names=log.names, payload=log.payload, principal=log.principal)
    return machine


def _declare_tables(machine: Machine, form: MachineForm, beside: Callable[[str], str]) -> None:
    """The claims of the largest fiber given by tables: its join-irreducible elements."""
    explicit = explicit_of(form.fibers, form.restrictions)
    if form.tables is not None:
        if explicit is not None:
            raise RelmError(Code.MACHINE_INVALID, "give fibers here or as rows in `tables`, not both", file=form.tables)
        explicit = explicit_of_rows(beside(form.tables), form.tables)
    machine.declaration.explicit = explicit
    if explicit is not None and explicit.fibers:
        fiber = points_of(explicit.fibers[explicit.whole])
        for place, name in enumerate(fiber.points):
            machine.claim(name, requires=[other for other in fiber.names(fiber.up[place]) if other != name])


_KNOWN: dict[str, str] = {
    "extra_forbidden": "unknown key {key!r} in {where}: it knows {known}",
    "missing": "{where} needs the key {key!r}",
    "string_type": "{path}: write a text here; YAML reads an unquoted {input} as {kind}, so put it in quotes",
    "dict_type": "{path}: write a mapping here, {{}} for an empty one",
    "model_type": "{path}: write a mapping here, {{}} for an empty one",
    "list_type": "{path}: write a list here, like [a, b]",
    "string_pattern_mismatch": "{path}: name a file beside this one, like four_eyes.lp, in a-z, 0-9 and _",
    "too_short": "{path}: name exactly two steps",
    "too_long": "{path}: name exactly two steps",
    "literal_error": "{path}: {input} is not one of {expected}",
}


def _lessons(error: ValidationError) -> list[str]:
    """What to change, one sentence for each of the first eight complaints."""
    return list(dict.fromkeys(_lesson(item) for item in cast(list[dict[str, Any]], error.errors())))[:8]


def _lesson(item: dict[str, Any]) -> str:
    location = [str(part) for part in item["loc"] if part != "[key]"]
    where = ".".join(location[:-1]) or "the file"
    words = {
        "path": ".".join(location) or "the file",
        "where": where,
        "key": location[-1] if location else "",
        "known": ", ".join(_form_at(location[:-1]).model_fields),
        "input": reprlib.repr(item["input"]),
        "kind": type(item["input"]).__name__,
        "expected": item.get("ctx", {}).get("expected", ""),
    }
    template = _KNOWN.get(item["type"])
    return template.format(**words) if template else f"{words['path']}: {item['msg']}"


def _form_at(location: list[str]) -> type[BaseModel]:
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


class _Loader(yaml.SafeLoader):
    """YAML that remembers keys given twice instead of letting the last win."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[tuple[str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated.append((key.value, key.start_mark.line + 1))
                seen.add(key.value)
        return super().construct_mapping(node, deep)
