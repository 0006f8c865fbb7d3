"""From what a step is given to its declaration: recorded over a payload model, carried out over a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.machine.carried import Durable, run_plan
from relmachine.machine.closures import payload_annotation
from relmachine.machine.declaration import Declaration, StepDeclaration, names_of
from relmachine.machine.given import Asking, Computing, Payload, Touches, Writes
from relmachine.machine.plan import Kind
from relmachine.machine.report import Law

Judged = TypeVar("Judged", bound=Callable[..., object])
"""A payload model or a function: whatever is decorated stays what it is."""


def decorator(
    declaration: Declaration, kind: Kind, name: str | None, given: Computing | Asking
) -> Callable[[Judged], Judged]:
    """Declares the step that it decorates, called `name` or as that is."""

    def declare(target: Judged) -> Judged:
        step = name or target.__name__
        model = _as_model(target)
        if model is not None:
            declare_step(declaration, step, kind, model, None, given)
            return target
        # A payload model may be local to the function that declares the machine.
        frame = inspect.currentframe()
        local = frame.f_back.f_locals if frame and frame.f_back else {}
        declare_step(declaration, step, kind, payload_annotation(target, local), target, given)
        return target

    return declare


def declare_step(
    declaration: Declaration,
    name: str,
    kind: Kind,
    payload: Payload | None,
    closure: Callable[..., object] | None,
    touches: Touches | Computing | Asking,
) -> None:
    """Add the step to `declaration`, and note what is wrong with what it is given."""
    writes = touches.get("writes", ())
    fields = names_of(tuple(writes))
    pairs = _pairs(writes)
    if closure is None and fields and not pairs:
        sentence = f"step {name!r} is recorded: map each field it writes to the payload member that holds the value"
        declaration.note(Law.MEMBERS_FIT, sentence, step=name, fields=list(fields))
    run = None if closure is None else run_plan(kind, closure, touches, pairs)
    if closure is not None and pairs and (run is None or run.output is None):
        sentence = f"step {name!r} computes what it writes: list the fields, and leave the payload members out"
        declaration.note(Law.CLOSURES_RUN, sentence, step=name, fields=list(fields))
    declaration.add(
        StepDeclaration(
            name=name,
            kind=kind,
            asserts=names_of(touches.get("asserts", ())),
            contests=names_of(touches.get("contests", ())),
            vetoes=names_of(touches.get("vetoes", ())),
            reads=names_of(touches.get("reads", ())),
            writes=fields,
            recorded=pairs if closure is None else (),
            payload=payload if payload is None or isinstance(payload, type) else tuple(payload),
            closure=closure,
            run=run,
            targets=tuple(cast(Durable, touches).get("targets", ())),
            on_missing=touches.get("on_missing", "refuse"),
            hold_seconds=touches.get("hold_seconds"),
        )
    )


def kind_named(step: str, given: str) -> Kind:
    """The kind. Errors: `machine_invalid` for an unknown one."""
    if given in list(Kind):
        return Kind(given)
    sentence = f"step {step!r}: the kind is one of {', '.join(Kind)}"
    raise RelmError(Code.MACHINE_INVALID, sentence, step=step, kind=given)


def _as_model(target: object) -> type[BaseModel] | None:
    return target if isinstance(target, type) and issubclass(target, BaseModel) else None


def _pairs(writes: Writes) -> tuple[tuple[str, str], ...]:
    """Field and payload member, where `writes` says so."""
    if not isinstance(writes, Mapping):
        return ()
    found = {item if isinstance(item, str) else item.name: member for item, member in writes.items()}
    return tuple(sorted(found.items()))
