"""Field values between Python and their canonical JSON texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import FieldPlan, FieldType

_FITS: Mapping[FieldType, Callable[[object], bool]] = {
    FieldType.STRING: lambda value: isinstance(value, str),
    FieldType.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    FieldType.NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    FieldType.BOOLEAN: lambda value: isinstance(value, bool),
    FieldType.DATETIME: lambda value: isinstance(value, datetime),
}


def value_text(field: FieldPlan, value: object) -> str:
    """Canonical JSON of a contribution to `field`; datetimes are text in UTC with six decimals.

    Errors: `output_invalid` when `value` is not of the field's type or has no canonical form.
    """
    if not _FITS[field.type](value):
        sentence = f"field {field.name!r} takes a {field.type}, not a {type(value).__name__}"
        raise RelmError(Code.OUTPUT_INVALID, sentence, field=field.name, type=str(field.type))
    try:
        return canonical_text(value)
    except RelmError as error:
        sentence = f"field {field.name!r}: {error.sentence}"
        raise RelmError(Code.OUTPUT_INVALID, sentence, field=field.name, cause=str(error.code)) from error


def text_value(field: FieldPlan, text: str) -> str | int | float | bool | datetime:
    """The Python value of a contribution's canonical text: the inverse of `value_text`.

    Errors: `number_invalid` for a sum beyond the doubles, which is text.
    """
    value = cast(str | int | float | bool, orjson.loads(text))
    if field.type is FieldType.DATETIME:
        return datetime.fromisoformat(cast(str, value))
    if isinstance(value, str) and field.type is not FieldType.STRING:
        sentence = f"field {field.name!r} has grown beyond what a number carries: declare a larger unit"
        raise RelmError(Code.NUMBER_INVALID, sentence, field=field.name, value=value)
    return float(value) if field.type is FieldType.NUMBER else value
