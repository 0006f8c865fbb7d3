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
        if exotic:
            return rfc8785.dumps(plain)  # pyright: ignore[reportArgumentType]
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, UnicodeEncodeError, rfc8785.CanonicalizationError) as error:
        raise RelmError(Code.TEXT_INVALID, "send text without lone surrogates", detail=str(error)) from error


def _is_simple(value: object) -> bool:
    """Whether orjson's own text is canonical: a flat object with ASCII names and neither floats nor datetimes."""
    if type(value) is not dict:
        return type(value) in _SIMPLE_TYPES
    members = cast(dict[object, object], value)
    return _SIMPLE_TYPES.issuperset(map(type, members.values())) and _ascii_names(members)


def _ascii_names(members: dict[object, object]) -> bool:
    try:
        return "".join(cast(dict[str, object], members)).isascii()
    except TypeError:
        return False


def canonical_text(value: object) -> str:
    """`canonical` as text."""
    return canonical(value).decode()


def canonical_time(value: datetime) -> str:
    """`value` in UTC with six decimals, e.g. `2011-10-11T11:45:40.276000Z`.

    Errors: `payload_invalid` without a time zone, and when UTC leaves the years 1 to 9999.
    """
    offset = value.utcoffset()
    if offset is None:
        raise RelmError(Code.PAYLOAD_INVALID, "give every datetime a time zone", value=value.isoformat())
    try:
        utc = value.astimezone(UTC) if offset else value
    except OverflowError as error:
        sentence = "give datetimes that lie in the years 1 to 9999 in UTC"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, value=value.isoformat()) from error
    return utc.isoformat(timespec="microseconds")[:26] + "Z"


def _plain(value: object, depth: int) -> tuple[object, bool]:
    """`value` with datetimes and whole floats rewritten, and whether it needs the slow writer."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value, False
    if kind is int:
        return _integer(cast(int, value)), False
    if kind is float:
        return _float(cast(float, value))
    if isinstance(value, datetime):
        return canonical_time(value), False
    if isinstance(value, str):
        return str.__str__(value), False
    if depth >= DEPTH_MAX:
        raise RelmError(Code.PAYLOAD_TOO_DEEP, f"nest values at most {DEPTH_MAX} deep", depth_max=DEPTH_MAX)
    if isinstance(value, dict):
        return _object(cast(dict[object, object], value), depth + 1)
    if isinstance(value, list | tuple):
        items = [_plain(item, depth + 1) for item in cast(list[object], value)]
        return [item for item, _ in items], any(exotic for _, exotic in items)
    raise RelmError(Code.PAYLOAD_INVALID, f"{kind.__name__} has no JSON form", type=kind.__name__)


def _object(value: dict[object, object], depth: int) -> tuple[object, bool]:
    exotic = False
    plain: dict[str, object] = {}
    for key, member in value.items():
        if not isinstance(key, str):
            raise RelmError(Code.PAYLOAD_INVALID, "name every member with a string", key=repr(key))
        plain[str.__str__(key)], strange = _plain(member, depth)
        # orjson sorts by UTF-8 bytes, RFC 8785 by UTF-16 units: they differ beyond ASCII.
        exotic = exotic or strange or not key.isascii()
    return plain, exotic


def _integer(value: int) -> int:
    if -INTEGER_MAX <= value <= INTEGER_MAX:
        return value
    raise RelmError(Code.NUMBER_INVALID, "send integers beyond 2^53-1 as text", bits=value.bit_length())


def _float(value: float) -> tuple[object, bool]:
    if not math.isfinite(value):
        raise RelmError(Code.NUMBER_INVALID, "send finite numbers only", value=repr(value))
    if value.is_integer():
        small = abs(value) <= INTEGER_MAX
        return (int(value) if small else value), not small
    # Small fractions: orjson goes to exponents below 1e-5, ECMAScript below 1e-6.
    return value, abs(value) < 1e-4
