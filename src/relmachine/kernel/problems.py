"""What is wrong with a value from outside, in lines for whoever sent it."""

from __future__ import annotations

from pydantic import ValidationError


def problems(error: ValidationError) -> list[str]:
    """The first eight complaints of Pydantic as `member: what is wrong`."""
    return [
        f"{'.'.join(str(part) for part in item['loc']) or 'value'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:8]
    ]
