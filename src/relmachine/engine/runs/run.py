"""The run that a coroutine closure is given (`machine.run`).

The closure has a thread and a loop of its own; the run lives in the node's. It makes one call at a time and waits for
it: which of several came first, and which of them a time-out cut off, would come out otherwise in a playback, where
answers come at once. So either ends the run, at a place that the record has; and so does a call from another thread, of
which nobody knows whether the closure waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from random import Random
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload
from uuid import uuid4

import orjson
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from relmachine.engine.runs.decisions import Found
from relmachine.engine.runs.ended import RunEnded
from relmachine.engine.runs.recorder import UNAWAITED
from relmachine.engine.runs.registry import Misuse
from relmachine.engine.runs.running import Running
from relmachine.errors import Code, RelmError
from relmachine.machine.canonical import canonical_time
from relmachine.machine.run import Output, Run

if TYPE_CHECKING:
    from relmachine.engine.runs.agent import Agent

_Given = TypeVar("_Given")
_Ask = Callable[[], Coroutine[Any, Any, _Given]]


class ClosureRun(Run):
    """Implements `machine.run.Run`."""

    def __init__(self, running: Running, agent: Agent) -> None:
        """Called in the node's loop."""
        self._running, self._agent = running, agent
        self._home = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()
        self._stops: set[asyncio.Task[None]] = set()
        self._waiting = False
        self._thread = 0
        self._random = Random(running.request.frozen.seed)

    def enter(self) -> None:
        """Called in the thread of the closure, before it begins."""
        self._thread = get_ident()

    async def over(self) -> None:
        """Called in the node's loop when the closure is over: the run goes on when what it did not wait for ended."""
        while self._stops:
            await asyncio.wait(self._stops)

    def leave(self) -> None:
        """Called in the node's loop when the closure is over, or given up: what it still asks is cancelled."""
        for task in self._calls:
            task.cancel()

    @overload
    async def ask(self, prompt: str, output: type[Output], *, model: str | None = None) -> Output: ...
    @overload
    async def ask(self, prompt: str, output: None = None, *, model: str | None = None) -> str: ...
    async def ask(self, prompt: str, output: type[Output] | None = None, *, model: str | None = None) -> Output | str:
        return cast(
            Output, await self._awaited(lambda: self._agent.ask(prompt, output, _itself, tools=False, model=model))
        )

    @overload
    async def agent(self, prompt: str, output: type[Output]) -> Output: ...
    @overload
    async def agent(self, prompt: str, output: None = None) -> str: ...
    async def agent(self, prompt: str, output: type[Output] | None = None) -> Output | str:
        return cast(Output, await self._awaited(lambda: self._agent.ask(prompt, output, _itself, tools=True)))

    async def tool(self, name: str, /, **arguments: object) -> Any:
        return await self._awaited(lambda: self._tool(name, to_json(arguments).decode()))

    def now(self) -> datetime:
        return datetime.fromisoformat(self._given(lambda: self._seen("time", "now")))

    def new_id(self) -> str:
        return self._given(lambda: self._seen("id", "id"))

    def random(self) -> float:
        return self._random.random()

    def publish(self, step: str, /, **payload: object) -> None:
        self._given(lambda: self._propose(step, payload))

    async def _awaited(self, ask: _Ask[_Given]) -> _Given:
        """A call that the closure waits for. Raises `RunEnded` when the run has ended, or ends because of it."""
        if not self._may_call():
            await asyncio.wrap_future(self._stop())
        asked, self._waiting = self._at_home(ask), True
        try:
            return await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            if self._running.recorder.end is None:  # else the run was over, and the closure is given up
                self._stop()
            raise
        finally:
            self._waiting = False

    def _given(self, ask: _Ask[_Given]) -> _Given:
        """The same of a call that holds the closure up."""
        return (self._at_home(ask) if self._may_call() else self._stop()).result()

    def _may_call(self) -> bool:
        return get_ident() == self._thread and not self._waiting

    def _at_home(self, ask: _Ask[_Given]) -> Future[_Given]:
        """Do it in the node's loop, when the calls before it are done. Raises `RunEnded` when the run has ended."""
        if self._running.recorder.end is not None:  # not worth a way home for a closure that does not take the hint
            raise RunEnded(self._running.recorder.end)

        async def in_turn() -> _Given:
            async with self._turn:
                return await ask()

        return self._posted(in_turn, self._calls)

    def _stop(self) -> Future[Any]:
        """End the run, for the closure made a call without waiting for the one before it, or let go of one."""

        async def stop() -> None:
            if self._running.recorder.given_more:  # the call in hand leads to where the record says that it ended
                async with self._turn:
                    pass
            ended = await self._running.recorder.stop(UNAWAITED)
            self.leave()
            raise ended

        return self._posted(stop, self._stops)

    def _posted(self, begin: _Ask[_Given], among: set[asyncio.Task[Any]]) -> Future[_Given]:
        """A task in the node's loop, one of `among` until it is done. Who gives up waiting does not end it."""
        given: Future[_Given] = Future()

        def post() -> None:
            task = self._home.create_task(begin())
            among.add(task)
            task.add_done_callback(done)

        def done(task: asyncio.Task[_Given]) -> None:
            among.discard(task)
            error = self._left() if task.cancelled() else task.exception()
            if not given.set_running_or_notify_cancel():
                return
            if error is None:
                given.set_result(task.result())
            else:
                given.set_exception(error)

        self._home.call_soon_threadsafe(post)
        return given

    def _left(self) -> BaseException:
        """What a call meets that was left: its run has ended."""
        end = self._running.recorder.end
        return asyncio.CancelledError() if end is None else RunEnded(end)

    async def _propose(self, step: str, payload: Mapping[str, object]) -> None:
        self._running.propose(step, payload)

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
