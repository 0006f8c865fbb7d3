"""Values as terms of laws of the author's own, written as the solver reads them."""

from __future__ import annotations

import re
from datetime import date
from typing import cast

from relmachine.algebra.reducers import parse
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import FieldPlan, FieldType

NUMBER_MIN, NUMBER_MAX = -(2**31) + 1, 2**31 - 1
"""Integers that the solver calculates with."""

_EPOCH = date(1970, 1, 1).toordinal()
_INTEGER = re.compile(r"-?[0-9]+")


class NoNumberError(Exception):
    """A number that the solver has no term for. As a text it would be larger than every number, so a law that compares
    it could let a step pass that it forbids.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field} is {text}")
        self.field, self.text = field, text


def value_term(field: FieldPlan, text: str) -> str:
    """A contribution as a term: integers, `true`, `false`, texts, and times as `at(D,S,U)` with the day since
    1970-01-01, and second and microsecond of the day in UTC. Errors: `NoNumberError`.
    """
    match field.type:
        case FieldType.BOOLEAN:
            return text
        case FieldType.STRING:
            return text_term(cast(str, parse(text)))
        case FieldType.DATETIME:
            return time_term(cast(str, parse(text)))
        case _:
            small = _INTEGER.fullmatch(text) and len(text) <= 11 and NUMBER_MIN <= int(text) <= NUMBER_MAX
            if not small:
                raise NoNumberError(field.name, text)
            return text


def time_term(text: str) -> str:
    """A canonical time as a term. Terms compare as the times do."""
    hours, minutes, seconds = text[11:19].split(":")
    second = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return f"at({date.fromisoformat(text[:10]).toordinal() - _EPOCH},{second},{int(text[20:26])})"


def text_term(text: str) -> str:
    """A text as a term. One that begins with a quotation mark, or has the character NUL, which the solver cannot keep,
    is written as JSON writes it; so different texts are different terms.
    """
    return _quoted(canonical_text(text) if text.startswith('"') or "\0" in text else text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'
