"""The run that a coroutine closure is given (`machine.run`).

The closure has a thread and a loop of its own; the run lives in the node's. Calls are taken one after the other, in
the order in which they are made: gathering them changes nothing, and a playback meets them in the same order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload
from uuid import uuid4

import orjson
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from relmachine.engine.runs.decisions import Found
from relmachine.engine.runs.ended import RunEnded
from relmachine.engine.runs.registry import Misuse
from relmachine.engine.runs.running import Running
from relmachine.errors import Code, RelmError
from relmachine.machine.canonical import canonical_time
from relmachine.machine.run import Output, Run

if TYPE_CHECKING:
    from relmachine.engine.runs.agent import Agent

_Given = TypeVar("_Given")


class ClosureRun(Run):
    """Implements `machine.run.Run`."""

    def __init__(self, running: Running, agent: Agent) -> None:
        """Called in the node's loop."""
        self._running, self._agent = running, agent
        self._home = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()
        self._random = Random(running.request.frozen.seed)

    def leave(self) -> None:
        """Called in the node's loop when the closure is over, or given up: what it still asks is cancelled."""
        for task in self._calls:
            task.cancel()

    @overload
    async def ask(self, prompt: str, output: type[Output], *, model: str | None = None) -> Output: ...
    @overload
    async def ask(self, prompt: str, output: None = None, *, model: str | None = None) -> str: ...
    async def ask(self, prompt: str, output: type[Output] | None = None, *, model: str | None = None) -> Output | str:
        asked = self._at_home(lambda: self._agent.ask(prompt, output, _itself, tools=False, model=model))
        return cast(Output, await asyncio.wrap_future(asked))

    @overload
    async def agent(self, prompt: str, output: type[Output]) -> Output: ...
    @overload
    async def agent(self, prompt: str, output: None = None) -> str: ...
    async def agent(self, prompt: str, output: type[Output] | None = None) -> Output | str:
        asked = self._at_home(lambda: self._agent.ask(prompt, output, _itself, tools=True))
        return cast(Output, await asyncio.wrap_future(asked))

    async def tool(self, name: str, /, **arguments: object) -> Any:
        return await asyncio.wrap_future(self._at_home(lambda: self._tool(name, to_json(arguments).decode())))

    def now(self) -> datetime:
        return datetime.fromisoformat(self._at_home(lambda: self._seen("time", "now")).result())

    def new_id(self) -> str:
        return self._at_home(lambda: self._seen("id", "id")).result()

    def random(self) -> float:
        return self._random.random()

    def publish(self, step: str, /, **payload: object) -> None:
        self._running.propose(step, payload)

    def _at_home(self, ask: Callable[[], Coroutine[Any, Any, _Given]]) -> Future[_Given]:
        """Do it in the node's loop, when the calls before it are done. Raises `RunEnded` when the run has ended."""

        async def in_turn() -> _Given:
            task = asyncio.current_task()
            assert task is not None, "a coroutine runs in a task"
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            async with self._turn:
                return await ask()

        if self._running.recorder.end is not None:  # not worth a way home for a closure that does not take the hint
            raise RunEnded(self._running.recorder.end)
        return asyncio.run_coroutine_threadsafe(in_turn(), self._home)

    async def _tool(self, name: str, arguments: str) -> object:
        call = self._agent.tools.understood("", name, arguments)
        if isinstance(call, Misuse):
            raise RelmError(Code.TOOL_FAILED, call.sentence, tool=name)
        decision = await self._agent.tools.call(call)
        if decision.error:
            code, _, sentence = decision.error.partition(": ")
            raise RelmError(Code(code), sentence, tool=name)
        return from_json(decision.value)

    async def _seen(self, kind: Any, name: str) -> str:
        async def found() -> Found:
            given = canonical_time(datetime.now(UTC)) if kind == "time" else uuid4().hex
            return Found(orjson.dumps(given).decode())

        decision = await self._running.recorder.see(kind, name, (), found)
        return cast(str, orjson.loads(decision.value))


def _itself(output: BaseModel) -> object:
    return output
