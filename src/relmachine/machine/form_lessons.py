"""What each mistake in a machine's file teaches: where it is, and what to write instead."""

from __future__ import annotations

import reprlib
from typing import Any, cast

from pydantic import ValidationError

from relmachine.machine.machine_form import form_at

_KNOWN: dict[str, str] = {
    "extra_forbidden": "unknown key {key!r} in {where}: it knows {known}",
    "missing": "{where} needs the key {key!r}",
    "string_type": "{path}: write a text here; YAML reads an unquoted {input} as {kind}, so put it in quotes",
    "dict_type": "{path}: write a mapping here, {{}} for an empty one",
    "model_type": "{path}: write a mapping here, {{}} for an empty one",
    "list_type": "{path}: write a list here, like [a, b]",
    "string_pattern_mismatch": "{path}: name a file beside this one, like four_eyes.lp, in a-z, 0-9 and _",
    "too_short": "{path}: name exactly two steps",
    "too_long": "{path}: name exactly two steps",
    "literal_error": "{path}: {input} is not one of {expected}",
}


def lessons(error: ValidationError) -> list[str]:
    """What to change, one sentence for each of the first eight complaints."""
    return list(dict.fromkeys(_lesson(item) for item in cast(list[dict[str, Any]], error.errors())))[:8]


def _lesson(item: dict[str, Any]) -> str:
    location = [str(part) for part in item["loc"] if part != "[key]"]
    where = ".".join(location[:-1]) or "the file"
    words = {
        "path": ".".join(location) or "the file",
        "where": where,
        "key": location[-1] if location else "",
        "known": ", ".join(form_at(location[:-1]).model_fields),
        "input": reprlib.repr(item["input"]),
        "kind": type(item["input"]).__name__,
        "expected": item.get("ctx", {}).get("expected", ""),
    }
    template = _KNOWN.get(item["type"])
    return template.format(**words) if template else f"{words['path']}: {item['msg']}"
