"""RFC 8785 canonical JSON: one text per value, so that digests mean the same on every node.

`orjson` writes the canonical form directly for everything but a few numbers and keys; those go to `rfc8785`, the
reference implementation. The property test holds the two equal. Datetimes are written in UTC with six decimals, so
that comparing the texts compares the times.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import cast

import orjson
import rfc8785

from relmachine.errors import Code, RelmError

DEPTH_MAX = 32
"""Nesting allowed in a value."""

INTEGER_MAX = 2**53 - 1
"""Largest integer that every JSON reader keeps exact (I-JSON, RFC 7493)."""

_SIMPLE_TYPES = frozenset[type]({str, bool, int, type(None)})


def canonical(value: object) -> bytes:
    """Canonical JSON of `value`.

    Errors: `number_invalid` for NaN, infinities and integers beyond 2^53-1; `text_invalid` for lone surrogates;
    `payload_too_deep`; `payload_invalid` for what JSON cannot say and for datetimes without a time zone.
    """
    if _is_simple(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
        except orjson.JSONEncodeError:  # the careful way below says what is wrong
            pass
    plain, exotic = _plain(value, 0)
    try:
        return rfc8785.dumps(plain) if exotic else orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)  # pyright: ignore[reportArgumentType]
    except (orjson.JSONEncodeError, UnicodeEncodeError, rfc8785.CanonicalizationError) as error:
        raise RelmError(Code.TEXT_INVALID, "send text without lone surrogates", detail=str(error)) from error


def canonical_text(value: object) -> str:
    """`canonical` as text."""
    return canonical(value).decode()


def canonical_time(value: datetime) -> str:
    """`value` in UTC with six decimals, e.g. `2011-10-11T11:45:40.276000Z`."""
    if value.tzinfo is None:
        raise RelmError(Code.PAYLOAD_INVALID, "give every datetime a time zone", value=value.isoformat())
    try:
        utc = value.astimezone(UTC)
    except OverflowError as error:
        sentence = "give datetimes that lie in the years 1 to 9999 of UTC"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, value=value.isoformat()) from error
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z).decode()
    return text[1:-1] if utc.microsecond else f"{text[1:-2]}.000000Z"


def _is_simple(value: object) -> bool:
    """Whether `orjson` alone writes the canonical form: an object of text, integers and truths under ASCII names."""
    if type(value) is not dict:
        return False
    members = cast(dict[str, object], value)
    try:
        names = "".join(members)
    except TypeError:
        return False
    return names.isascii() and _SIMPLE_TYPES.issuperset(map(type, members.values()))


def _plain(value: object, depth: int) -> tuple[object, bool]:
    """`value` with datetimes and whole floats rewritten, and whether it needs the slow writer."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value, False
    if kind is int:
        return _integer(cast(int, value)), False
    if kind is float:
        return _float(cast(float, value))
    if depth >= DEPTH_MAX:
        raise RelmError(Code.PAYLOAD_TOO_DEEP, f"nest values at most {DEPTH_MAX} deep", depth_max=DEPTH_MAX)
    if isinstance(value, dict):
        return _object(cast(dict[object, object], value), depth)
    if isinstance(value, list | tuple):
        items = [_plain(item, depth + 1) for item in cast(list[object], value)]
        return [item for item, _ in items], any(exotic for _, exotic in items)
    if isinstance(value, datetime):
        return canonical_time(value), False
    if isinstance(value, str):
        return str(value), False
    raise RelmError(Code.PAYLOAD_INVALID, f"{kind.__name__} has no JSON form", type=kind.__name__)


def _object(value: dict[object, object], depth: int) -> tuple[object, bool]:
    exotic = False
    plain: dict[str, object] = {}
    for key, member in value.items():
        if not isinstance(key, str):
            raise RelmError(Code.PAYLOAD_INVALID, "name every member with a string", key=repr(key))
        plain[key], strange = _plain(member, depth + 1)
        exotic = exotic or strange or not key.isascii()
    return plain, exotic


def _integer(value: int) -> int:
    if -INTEGER_MAX <= value <= INTEGER_MAX:
        return value
    raise RelmError(Code.NUMBER_INVALID, "send integers beyond 2^53-1 as text", value=str(value)[:40])


def _float(value: float) -> tuple[object, bool]:
    if not math.isfinite(value):
        raise RelmError(Code.NUMBER_INVALID, "send finite numbers only", value=repr(value))
    if value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value), False
    return value, not 1e-4 <= abs(value) < 1e16
