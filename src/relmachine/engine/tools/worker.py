"""The process of one call of one tool.

Given as its argument: the place of the function and its limits. It says `{"ready": true, "confined": bool}` on a line
when the function is there, takes the arguments as a line of JSON, and answers with a line: `{"value": …}`, `{"memory":
true}`, `{"unwritable": type}` when the value has no JSON, or `{"raised": type, "detail": text}`. What the tool itself
prints goes nowhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

from relmachine.engine.tools.confinement import die_with_parent, drop_rights, enter_namespaces, set_limits
from relmachine.engine.tools.place import function_at

_DETAIL_CHARACTERS = 500


def main() -> None:
    """One call, from the place in `sys.argv[1]` to the answer."""
    given = json.loads(sys.argv[1])
    die_with_parent()
    number = os.getpid()
    confined = enter_namespaces()
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        function = function_at(given["place"])
    except (Exception, SystemExit) as error:
        _say(answers, _raised(error))
        return
    root = os.getuid() == 0
    drop_rights(number)
    _say(answers, _line({"ready": True, "confined": confined}))
    arguments = json.loads(sys.stdin.buffer.readline())
    os.dup2(nowhere, 0)
    set_limits(given["limits"], alone=confined or root)
    _say(answers, called(function, arguments))
    os._exit(0)  # threads and exit handlers of the tool have nothing more to say


def called(function: Callable[..., object], arguments: Mapping[str, object]) -> bytes:
    """The line that answers the call."""
    from pydantic import validate_call
    from pydantic_core import PydanticSerializationError, to_json

    try:
        value: object = validate_call(function)(**arguments)
        if asyncio.iscoroutine(value):
            value = asyncio.run(cast(Coroutine[Any, Any, object], value))
        return b'{"value":' + to_json(value) + b"}\n"
    except MemoryError:
        return _line({"memory": True})
    except PydanticSerializationError as error:
        return _line({"unwritable": str(error)[:_DETAIL_CHARACTERS]})
    except BaseException as error:
        return _raised(error)


def _raised(error: BaseException) -> bytes:
    try:
        detail = str(error)
    except Exception:
        detail = ""
    return _line({"raised": type(error).__name__[:100], "detail": detail[:_DETAIL_CHARACTERS]})


def _line(told: Mapping[str, object]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _say(answers: int, line: bytes) -> None:
    while line:
        line = line[os.write(answers, line) :]
