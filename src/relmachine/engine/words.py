"""What went wrong, in words that can be stored, and that a model can act on."""

from __future__ import annotations

from pydantic import ValidationError

from relmachine.algebra.identity import digest_bytes
from relmachine.errors import Code

ERROR_CHARACTERS = 500
"""How much of what an error of somebody else's code says is kept."""

PROBLEMS_SHOWN = 8
"""Problems of one call that go back to a model."""


def detail(error: BaseException) -> str:
    """What an error of somebody else's code says, as text that can be stored; empty when it says nothing."""
    try:
        return str(error)[:ERROR_CHARACTERS].encode("utf-8", "replace").decode()
    except Exception:  # its own __str__ may raise anything
        return ""


def said(error: BaseException) -> str:
    """What it is, and what it says."""
    return ": ".join(part for part in (type(error).__name__, detail(error)) if part)


def problems(error: ValidationError) -> str:
    """What does not fit, for a model or an author to correct: place and message, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:PROBLEMS_SHOWN]
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'all'}: {item['msg']}" for item in found)


def too_large(what: str, content: bytes, bytes_max: int) -> str:
    """The error that stands for content which is not kept."""
    size, name = len(content), digest_bytes(content)
    return (
        f"{Code.LIMIT_EXCEEDED}: {what} has {size} bytes, more than {bytes_max}: it is not kept; its SHA-256 is {name}"
    )
