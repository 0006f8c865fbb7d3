"""From a message body to its envelope, or to the most telling reason why it is none."""

from __future__ import annotations

from typing import cast

import orjson
from pydantic import ValidationError

from relmachine.errors import Code, RelmError
from relmachine.kernel.envelope import SCHEMA_VERSION, Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.problems import problems
from relmachine.machine.canonical import DEPTH_MAX


def parse(body: bytes, limits: Limits) -> Envelope:
    """The envelope in `body`.

    Errors: `payload_too_large`, `not_json`, `number_invalid`, `text_invalid`, `schema_version`, `envelope_invalid`,
    each with what to change.
    """
    if len(body) > limits.payload_bytes_max:
        raise RelmError(
            Code.PAYLOAD_TOO_LARGE,
            f"send at most {limits.payload_bytes_max} bytes",
            payload_bytes_max=limits.payload_bytes_max,
            bytes=len(body),
        )
    try:
        return Envelope.model_validate_json(body)
    except ValidationError as error:
        raise _diagnosis(body, error) from error


def _diagnosis(body: bytes, error: ValidationError) -> RelmError:
    """The most telling reason why `body` is no envelope."""
    value = _load(body)
    if not isinstance(value, dict):
        return RelmError(Code.ENVELOPE_INVALID, "send one CloudEvents JSON object", found=type(value).__name__)
    if any("recursion" in problem for problem in problems(error)):
        return _too_deep()
    version = cast(dict[str, object], value).get("schemaversion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return RelmError(
            Code.SCHEMA_VERSION,
            f"this node reads schemaversion up to {SCHEMA_VERSION}: update it, or send the older form",
            schemaversion=version,
        )
    return RelmError(
        Code.ENVELOPE_INVALID,
        "send a CloudEvents 1.0 event with id, source, type and data; the witness names what is wrong",
        problems=problems(error),
    )


def _too_deep() -> RelmError:
    return RelmError(Code.PAYLOAD_TOO_DEEP, f"nest values at most {DEPTH_MAX} deep", depth_max=DEPTH_MAX)


def _load(body: bytes) -> object:
    try:
        body.decode()
        return orjson.loads(body)
    except UnicodeDecodeError as error:
        raise RelmError(Code.NOT_JSON, "send UTF-8 JSON", detail=str(error)) from error
    except orjson.JSONDecodeError as error:
        text = str(error)
        if "surrogate" in text:
            raise RelmError(Code.TEXT_INVALID, "send text without lone surrogates", detail=text) from error
        if "depth limit" in text:
            raise _too_deep() from error
        if any(word in body for word in (b"NaN", b"Infinity")):
            raise RelmError(Code.NUMBER_INVALID, "send finite numbers only: JSON has no NaN", detail=text) from error
        raise RelmError(Code.NOT_JSON, "send UTF-8 JSON", detail=text) from error
