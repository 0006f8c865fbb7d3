"""CloudEvents in JSON lines: one event in structured mode a line, passed on byte for byte.

A line that names a thread is a step, whatever else is wrong with it: the gates judge it, and their refusal is on
record. A line from which no thread can be read has nowhere to go and is a `Fault` with its line number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.ingest.fault import Fault
from relmachine.kernel.limits import Limits
from relmachine.kernel.parsing import parse
from relmachine.kernel.thread_token import check_thread

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that names a thread. `type` is what it says to be, empty when it does not say."""

    number: int
    thread: str
    type: str
    body: bytes


def lines(chunks: Iterable[bytes], limits: Limits) -> Iterator[Line | Fault]:
    """The lines of a log, numbered from 1, blank ones left out. Lines may end in LF or CR LF; the last one need not."""
    for number, body in enumerate(_split(chunks, limits.payload_bytes_max), start=1):
        if body is None:
            yield Fault(f"line {number}", _too_long(limits))
        elif body:
            yield _line(number, body, limits)


def _line(number: int, body: bytes, limits: Limits) -> Line | Fault:
    try:
        envelope = parse(body, limits)
        thread, step = envelope.subject, envelope.type
    except RelmError as error:
        members = _members(body)
        if members is None:
            return Fault(f"line {number}", error)
        thread, step = members.get("subject"), members.get("type")
    if not isinstance(thread, str):
        return Fault(f"line {number}", _no_subject())
    try:
        return Line(number, check_thread(thread, limits), step if isinstance(step, str) else "", body)
    except RelmError as error:
        return Fault(f"line {number}", error)


def _members(body: bytes) -> dict[str, object] | None:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return cast(dict[str, object], value) if isinstance(value, dict) else None


def _no_subject() -> RelmError:
    return RelmError(Code.ENVELOPE_INVALID, "name the thread in `subject`: without one the step has nowhere to go")


def _too_long(limits: Limits) -> RelmError:
    return RelmError(
        Code.PAYLOAD_TOO_LARGE,
        f"send at most {limits.payload_bytes_max} bytes in a line",
        payload_bytes_max=limits.payload_bytes_max,
    )


def _split(chunks: Iterable[bytes], longest: int) -> Iterator[bytes | None]:
    """Lines without their ends; None for one of more than `longest` bytes, which is never held whole."""
    rest, overlong, first = b"", False, True
    for chunk in chunks:
        *whole, rest = (rest + (chunk.removeprefix(_BYTE_ORDER_MARK) if first else chunk)).split(b"\n")
        first = False
        for line in whole:
            yield None if overlong or len(line) > longest else line.strip()
            overlong = False
        if len(rest) > longest:
            rest, overlong = b"", True
    if rest or overlong:
        yield None if overlong or len(rest) > longest else rest.strip()
