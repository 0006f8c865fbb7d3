"""Laws about values: reducers, payload members and closures."""

from __future__ import annotations

from collections.abc import Iterator

from relmachine.machine.declaration import Declaration, StepDeclaration
from relmachine.machine.payload import describable, member_names, member_types, members, open_objects, payload_model
from relmachine.machine.plan import FieldType, Reducer
from relmachine.machine.report import Finding

_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER)


def reducer_fits(declaration: Declaration) -> Iterator[Finding]:
    """Only numbers are added; booleans have no order that means anything."""
    for item in declaration.fields.values():
        witness: dict[str, object] = {"field": item.name, "type": str(item.type), "reducer": str(item.reducer)}
        if item.reducer is Reducer.SUM and item.type not in _NUMBERS:
            yield Finding(f"field {item.name!r}: sum adds integers and numbers, not {item.type}s", witness)
        if item.reducer in (Reducer.MAX, Reducer.MIN) and item.type is FieldType.BOOLEAN:
            yield Finding(f"field {item.name!r}: {item.reducer} orders values, and booleans have no order", witness)


def members_fit(declaration: Declaration) -> Iterator[Finding]:
    """What a recorded step writes has the type of the field it goes to."""
    for step in declaration.steps.values():
        if isinstance(step.payload, tuple):
            yield from _built_members(declaration, step)
        elif step.payload is not None:
            yield from _model_members(declaration, step)


def _built_members(declaration: Declaration, step: StepDeclaration) -> Iterator[Finding]:
    known = members(declaration, step)
    for name, member in step.recorded:
        field = declaration.fields.get(name)
        if field is not None and known[member].type is not field.type:
            found = known[member].type
            yield _misfit(step, name, member, field.type, f"is a {found}")


def _model_members(declaration: Declaration, step: StepDeclaration) -> Iterator[Finding]:
    model = payload_model(declaration, step)
    for name, member in step.recorded:
        field = declaration.fields.get(name)
        if field is None:
            continue
        found = member_types(model, member)
        allowed = {field.type, FieldType.INTEGER} if field.type is FieldType.NUMBER else {field.type}
        if member not in member_names(model):
            yield _misfit(step, name, member, field.type, "is not in the payload model")
        elif found is None or not found <= allowed:
            yield _misfit(step, name, member, field.type, f"is {', '.join(sorted(found or ())) or 'of no field type'}")


def _misfit(step: StepDeclaration, field: str, member: str, type_name: FieldType, found: str) -> Finding:
    sentence = f"step {step.name!r} writes {field!r} ({type_name}) from payload member {member!r}, which {found}"
    return Finding(sentence, {"step": step.name, "field": field, "member": member})


def payload_closed(declaration: Declaration) -> Iterator[Finding]:
    """A member that nobody declared would vanish or pass unseen; top-level models are closed for the author."""
    for step in declaration.steps.values():
        if not isinstance(step.payload, type):
            continue
        if not describable(step.payload):
            sentence = f"step {step.name!r}: make the payload model an object that has a JSON schema"
            yield Finding(sentence, {"step": step.name, "model": step.payload.__name__})
        if step.payload.model_config.get("extra") == "allow":
            sentence = f"step {step.name!r}: the payload model allows unknown members; take extra='allow' away"
            yield Finding(sentence, {"step": step.name, "model": step.payload.__name__})
        for name in open_objects(step.payload):
            sentence = f"step {step.name!r}: nested model {name!r} drops unknown members; give it extra='forbid'"
            yield Finding(sentence, {"step": step.name, "model": name})
