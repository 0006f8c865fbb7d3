"""From a log's attributes to the payload members of a step, in the JSON type that the member has."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple, cast

from relmachine.ingest.xes import Attribute, Attributes
from relmachine.machine.payload import member_types
from relmachine.machine.plan import FieldType, StepPlan

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_TEXT_TAGS = frozenset(("string", "date", "id"))


class Source(NamedTuple):
    """A payload member and the attribute `key` of the event, or of its trace, that it comes from."""

    member: str
    of_trace: bool
    key: str
    types: frozenset[FieldType]


def sources(step: StepPlan, addresses: Mapping[str, str]) -> tuple[Source, ...]:
    """The members of `step`'s payload that `addresses` names, each with its attribute (`event:KEY` or `trace:KEY`)."""
    model = step.payload_model
    members = cast(dict[str, object], model.model_json_schema().get("properties", {}))
    found: list[Source] = []
    for member in members:
        scope, _, key = addresses.get(member, "").partition(":")
        if key:
            found.append(Source(member, scope == "trace", key, member_types(model, member) or frozenset()))
    return tuple(found)


def payload(wanted: tuple[Source, ...], event: Attributes, trace: Attributes) -> dict[str, object]:
    """The members that the event and its trace have; an absent attribute is left out."""
    found: dict[str, object] = {}
    for member, of_trace, key, types in wanted:
        attribute = (trace if of_trace else event).get(key)
        if attribute is not None:
            found[member] = value_of(attribute, types)
    return found


def value_of(attribute: Attribute, types: frozenset[FieldType]) -> object:
    """The attribute's value in one of `types`; the text as written when it reads as none, which gate 1 then says.

    Times stay as written, with their offset.
    """
    text = attribute.text.strip()
    if FieldType.STRING in types and attribute.tag in _TEXT_TAGS:
        return attribute.text
    if FieldType.INTEGER in types and _INTEGER.fullmatch(text):
        return int(text)
    if FieldType.NUMBER in types and (number := _number(text)) is not None:
        return number
    if FieldType.BOOLEAN in types and text in _BOOLEANS:
        return _BOOLEANS[text]
    return attribute.text


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
