"""The line that the process of a tool answers with. A tool may write anything into that pipe, and fools only itself."""

from __future__ import annotations

from typing import cast

import orjson

from relmachine.machine.runs import Tool

FRAME_BYTES = len('{"value":}\n')
"""What an answer is longer than its value."""


def told(answer: bytes, tool: Tool) -> tuple[str, object]:
    """`value` and the value, or a kind of failure and its detail."""
    match parsed(answer):
        case {"value": value}:
            excess = len(answer) > tool.output_bytes + FRAME_BYTES
            return ("output", f"it gave more than {tool.output_bytes} bytes") if excess else ("value", value)
        case {"memory": True}:
            return "memory", f"it took more than {tool.memory_bytes} bytes"
        case {"unwritable": detail}:
            return "output", f"what it gave is no JSON: {detail}"
        case {"raised": name, "detail": detail}:
            return "raised", f"{name}: {detail}"
        case _:
            return "output", "what it gave is no JSON"


def parsed(line: bytes | None) -> dict[str, object]:
    """The object in a whole line of JSON; empty when it is something else."""
    try:
        found: object = orjson.loads(line) if line is not None and line.endswith(b"\n") else None
    except orjson.JSONDecodeError:
        found = None
    return cast(dict[str, object], found) if isinstance(found, dict) else {}
