"""The YAML form of a machine that only records."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from relmachine.errors import Code, RelmError
from relmachine.machine.declaration import Member
from relmachine.machine.explicit import points_of
from relmachine.machine.explicit_form import explicit_of
from relmachine.machine.explicit_rows import explicit_of_rows
from relmachine.machine.form_lessons import lessons
from relmachine.machine.machine import Machine
from relmachine.machine.machine_form import MachineForm
from relmachine.machine.plan import FieldType
from relmachine.machine.report import Law
from relmachine.machine.yaml_reading import read_yaml


def _no_file(file: str) -> str:
    raise RelmError(Code.MACHINE_INVALID, f"a machine that is no file has no file {file!r} beside it", file=file)


def parse_machine(text: str, beside: Callable[[str], str] = _no_file) -> Machine:
    """The machine that `text` declares, broken or not; a name given twice is left for `check`.

    `beside` gives the text of a file that lies beside the machine's own.
    Errors: `machine_invalid` when the text is not YAML or not of this form, with line or key and what to write.
    """
    value, repeated = read_yaml(text)
    if value is None:
        sentence = "the file declares nothing: write the keys machine, version and steps"
        raise RelmError(Code.MACHINE_INVALID, sentence)
    try:
        form = MachineForm.model_validate(value)
    except ValidationError as error:
        lines = lessons(error)
        raise RelmError(Code.MACHINE_INVALID, "; ".join(lines), problems=lines) from error
    machine = _machine(form, beside)
    for file in form.constraints:
        machine.law(file.removesuffix(".lp"), beside(file))
    for name, line in repeated:
        sentence = f"{name!r} on line {line} is declared twice: rename one, or remove it"
        machine.declaration.note(Law.NAMES_UNIQUE, sentence, name=name, line=line)
    return machine


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
