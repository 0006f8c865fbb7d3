"""Tools that the node does not trust: each call in a process of its own, within bounds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic_core import PydanticSerializationError, to_json

from relmachine.engine.tools.bounds import ToolBounds
from relmachine.engine.tools.child import Child
from relmachine.engine.tools.place import place_of
from relmachine.errors import Code, RelmError
from relmachine.machine.runs import Tool


class ToolProcesses:
    """Calls tools in processes, `processes_max` at a time; more calls wait. Of one event loop."""

    def __init__(self, bounds: ToolBounds | None = None) -> None:
        self._bounds = bounds or ToolBounds()
        self._threads = ThreadPoolExecutor(self._bounds.processes_max, thread_name_prefix="relm-tool")
        self._children: set[Child] = set()

    async def call(self, tool: Tool, arguments: Mapping[str, object]) -> object:
        """What the tool gives, as JSON values. When the awaiting task is cancelled, the process is killed.

        Errors: `tool_failed`, whose witness has the `tool`, the `kind` and the `detail`. The kinds: `system` (this is
        no Linux, which alone can hold such a process in), `start` (its function cannot be found or imported again),
        `arguments` (they are no JSON, or too long), `timeout`, `memory`, `output` (too long, or no JSON), `exit` (ended
        without an answer), `raised`, `ended` (by `close`).
        """
        if sys.platform != "linux":
            raise _failed(tool, "system", f"this is {sys.platform}")
        place = place_of(tool.function)
        if place is None:
            raise _failed(tool, "start", "it is not at the top level of a file")
        child = Child(tool, place, self._line(tool, arguments), self._bounds)
        self._children.add(child)
        try:
            kind, found = await asyncio.get_running_loop().run_in_executor(self._threads, child.run)
        except asyncio.CancelledError:
            child.end()
            raise
        finally:
            self._children.discard(child)
        if kind != "value":
            raise _failed(tool, kind, str(found))
        return found

    async def close(self) -> None:
        """End every process, and wait until they are gone."""
        for child in tuple(self._children):
            child.end()
        await asyncio.to_thread(self._threads.shutdown)

    def _line(self, tool: Tool, arguments: Mapping[str, object]) -> bytes:
        try:
            line = to_json(dict(arguments)) + b"\n"
        except PydanticSerializationError as error:
            raise _failed(tool, "arguments", str(error)) from error
        if len(line) > self._bounds.arguments_bytes_max:
            sentence = f"they take more than arguments_bytes_max, {self._bounds.arguments_bytes_max} bytes"
            raise _failed(tool, "arguments", sentence)
        return line


_ADVICE = {
    "system": "run the node on Linux or in a container, which alone can hold such a process in; or trust the tool",
    "start": "declare it at the top level of a file that can be imported anywhere",
    "arguments": "let it take less, and values that have a JSON form",
    "timeout": "let it do less, or raise its `seconds`",
    "memory": "let it take less, or raise its `memory_bytes`",
    "output": "let it give less, or raise its `output_bytes`; what it gives needs a JSON form",
    "exit": "let it return, whatever happens",
    "raised": "mend it, or call it with other arguments",
    "ended": "call it again",
}


KINDS = tuple(_ADVICE)
"""Ways in which a call fails."""


def _failed(tool: Tool, kind: str, detail: str) -> RelmError:
    sentence = f"the tool {tool.name!r} failed ({kind}): {_ADVICE[kind]}"
    return RelmError(Code.TOOL_FAILED, sentence, tool=tool.name, kind=kind, detail=detail)
