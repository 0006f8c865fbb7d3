"""Payload models: built from a declaration or taken from the author, always refusing unknown members."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import new_class
from typing import Any, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, PydanticUserError, RootModel, create_model

from relmachine.machine.declaration import Declaration, Member, StepDeclaration
from relmachine.machine.plan import FieldType

# A number stays open to NaN here, so that the canonical form can refuse it under its own code.
_ANNOTATIONS: Mapping[FieldType, Any] = {
    FieldType.STRING: str,
    FieldType.INTEGER: int,
    FieldType.NUMBER: float,
    FieldType.BOOLEAN: bool,
    FieldType.DATETIME: AwareDatetime,
}

_BUILT = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


def payload_model(declaration: Declaration, step: StepDeclaration) -> type[BaseModel]:
    """The model that gate 1 validates payloads of `step` with."""
    if isinstance(step.payload, tuple):
        return _built(tuple(sorted(members(declaration, step).values(), key=lambda item: item.name)))
    return _closed(step.payload or BaseModel)


def members(declaration: Declaration, step: StepDeclaration) -> dict[str, Member]:
    """Members of a step declared without a model: those that its `recorded` names, and its own.

    A recorded member has its field's type; the step's own declaration of it may make it required.
    """
    found: dict[str, Member] = {}
    for field_name, name in step.recorded:
        if field_name in declaration.fields:
            found.setdefault(name, Member(name, declaration.fields[field_name].type))
    if isinstance(step.payload, tuple):
        found.update({item.name: item for item in step.payload})
    return found


def member_types(model: type[BaseModel], name: str) -> frozenset[FieldType] | None:
    """The field types that the values of member `name` have; None when it is no member or some value has none."""
    schema = _schema(model)
    if name not in _properties(schema):
        return None
    return _types(_properties(schema)[name], cast(dict[str, dict[str, object]], schema.get("$defs", {})))


def member_names(model: type[BaseModel]) -> frozenset[str]:
    """Names of the payload's members, as they travel."""
    return frozenset(_properties(_schema(model)))


def describable(model: type[BaseModel]) -> bool:
    """Whether `model` is an object with a JSON schema."""
    return _schema(model).get("type") == "object"


def normal_schema(model: type[BaseModel]) -> dict[str, object]:
    """JSON schema of `model` without titles, descriptions and null defaults: what of it is law."""
    return cast(dict[str, object], _normal(_schema(model)))


def open_objects(model: type[BaseModel]) -> list[str]:
    """Names of the models inside `model` whose unknown members would be dropped or let through."""
    definitions = cast(dict[str, dict[str, object]], _schema(model).get("$defs", {}))
    return [
        name
        for name, schema in definitions.items()
        if "properties" in schema and schema.get("additionalProperties") is not False
    ]


@lru_cache(maxsize=4096)
def _built(found: tuple[Member, ...]) -> type[BaseModel]:
    definitions: dict[str, Any] = {}
    for item in found:
        annotation = _ANNOTATIONS[item.type]
        definitions[item.name] = (annotation, ...) if item.required else (annotation | None, None)
    return create_model("Payload", __config__=_BUILT, **definitions)


@lru_cache(maxsize=4096)
def _closed(model: type[BaseModel]) -> type[BaseModel]:
    if model.model_config.get("extra") == "forbid" or RootModel in model.__mro__:
        return model
    space = {"model_config": ConfigDict(extra="forbid"), "__module__": model.__module__, "__doc__": model.__doc__}
    return cast(type[BaseModel], new_class(model.__name__, (model,), exec_body=lambda body: body.update(space)))


@lru_cache(maxsize=4096)
def _schema(model: type[BaseModel]) -> dict[str, object]:
    """JSON schema of `model`; empty when it has none, which `describable` tells."""
    try:
        schema: dict[str, object] = model.model_json_schema()
    except PydanticUserError:
        return {}
    if "$ref" not in schema:
        return schema
    # A model that contains itself is only a reference at the top.
    definitions = cast(dict[str, dict[str, object]], schema["$defs"])
    return {**definitions[str(schema["$ref"]).removeprefix(_REFERENCE)], "$defs": definitions}


def _properties(schema: Mapping[str, object]) -> dict[str, dict[str, object]]:
    return cast(dict[str, dict[str, object]], schema.get("properties", {}))


_REFERENCE = "#/$defs/"
_NOTES = frozenset(("title", "description", "examples"))
_NAMED = frozenset(("properties", "$defs", "patternProperties"))
_UNORDERED = frozenset(("required", "anyOf"))


def _normal(schema: object) -> object:
    if isinstance(schema, list):
        return [_normal(item) for item in cast(list[object], schema)]
    if not isinstance(schema, dict):
        return schema
    normal: dict[str, object] = {}
    for key, value in cast(dict[str, object], schema).items():
        if key in _NOTES or (key == "default" and value is None):
            continue
        if key in _NAMED:
            normal[key] = {name: _normal(item) for name, item in cast(dict[str, object], value).items()}
        elif key in _UNORDERED:
            normal[key] = sorted((_normal(item) for item in cast(list[object], value)), key=repr)
        else:
            normal[key] = _normal(value)
    return normal


def _types(schema: dict[str, object], definitions: Mapping[str, dict[str, object]]) -> frozenset[FieldType] | None:
    if "$ref" in schema:
        target = str(schema["$ref"]).removeprefix(_REFERENCE)
        return _types(definitions[target], definitions) if target in definitions else None
    if "anyOf" in schema:
        parts = [_types(part, definitions) for part in cast(list[dict[str, object]], schema["anyOf"])]
        return None if None in parts else frozenset(kind for part in parts if part is not None for kind in part)
    match schema.get("type"), schema.get("format"):
        case "null", _:
            return frozenset()
        case "string", "date-time":
            return frozenset((FieldType.DATETIME,))
        case ("string" | "integer" | "number" | "boolean") as name, None:
            return frozenset((FieldType(name),))
        case _:
            return None
