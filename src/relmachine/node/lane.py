"""The node's control lane in a thread of its own: an event loop, a connection and, where the store needs it, a client
of its own, so that a node with much to do answers to control as an idle one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING

from relmachine.gates.lane_shape import LaneShape
from relmachine.hosts.lane import ControlLane
from relmachine.hosts.lane_heard import Listener
from relmachine.hosts.lane_telling import SentListener
from relmachine.node.switching import switching_fast
from relmachine.stream.lane import LaneStream

if TYPE_CHECKING:
    from relmachine.gates.port import PolicyGate
    from relmachine.kernel.lane import Effect
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.outcome_rows import OutboxRow
    from relmachine.kernel.verdicts import Refused
    from relmachine.machine.plan import Plan
    from relmachine.store.port import LaneStore
    from relmachine.stream.bounds import StreamBounds
    from relmachine.stream.topology import Topology

Opening = Callable[[], AbstractAsyncContextManager[ControlLane]]
"""How the lane comes about, in the loop in which it is to work."""


Serving = Callable[[ControlLane], AbstractAsyncContextManager[str]]
"""How the lane is served over HTTP there; gives the address."""


@contextlib.asynccontextmanager
async def lane_parts(
    plan: Plan,
    limits: Limits,
    url: str,
    topology: Topology,
    bounds: StreamBounds,
    store: Callable[[], AbstractAsyncContextManager[LaneStore]],
    policy: Callable[[], AbstractAsyncContextManager[PolicyGate]],
    *,
    reclaim: bool,
    takes: bool = True,
) -> AsyncGenerator[ControlLane]:
    """A lane on parts of its own. Errors: `unreachable`, `topology_mismatch`, `stream_unfit`, `policy_mismatch`."""
    async with contextlib.AsyncExitStack() as stack:
        opened = await stack.enter_async_context(store())
        gate = await stack.enter_async_context(policy())
        records = await LaneStream.open(url, topology, opened.store_id, limits, bounds, reclaim=reclaim)
        stack.push_async_callback(records.close)
        yield ControlLane(plan, records, opened, LaneShape(plan, limits), gate, takes=takes)


class LaneThread:
    """Runs a lane until `close`; what it is asked and what it tells goes from loop to loop. Made by `start`."""

    def __init__(self) -> None:
        self._home = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._lane: ControlLane
        self._working: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] = self._home.create_future()
        self._ended: asyncio.Future[None] = self._home.create_future()
        self._thread: threading.Thread
        self._serving: Serving | None = None
        self._takes = True
        self.url: str | None = None
        """Where the lane is served by itself."""

    @staticmethod
    async def start(opening: Opening, serving: Serving | None = None, *, takes: bool = True) -> LaneThread:
        """Open the lane in its thread and let it work; with `serving`, serve it there. One that takes no records is not
        in such a hurry for the interpreter. Errors: those of both.
        """
        made = LaneThread()
        made._serving, made._takes = serving, takes
        made._thread = threading.Thread(target=made._live, args=(opening,), name="control")
        made._thread.start()
        try:
            await made._opened
        except BaseException:
            await made.close()
            raise
        return made

    def listen(self, effects: Listener, sent: SentListener) -> None:
        """Call these in this loop, the node's, with each effect and with the messages of effects that left."""

        def told(effect: Effect) -> None:
            self._at_home(partial(effects, effect))

        def gone(rows: Sequence[OutboxRow]) -> None:
            self._at_home(partial(sent, rows))

        self._loop.call_soon_threadsafe(self._lane.on_effect.append, told)
        self._loop.call_soon_threadsafe(self._lane.on_sent.append, gone)

    async def control(self, thread: str, body: bytes, seconds: float) -> Effect | Refused | int:
        """See `ControlLane.control`."""
        asked = asyncio.run_coroutine_threadsafe(self._lane.control(thread, body, seconds), self._loop)
        return await asyncio.wrap_future(asked)

    async def ended(self) -> None:
        """Return when the lane was closed; raise what ended it else. Errors: `unreachable`."""
        await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Take no more records and let go. May be called twice."""
        if self._loop.is_running() and self._working is not None:
            self._loop.call_soon_threadsafe(self._working.cancel)
        await asyncio.to_thread(self._thread.join)

    def _live(self, opening: Opening) -> None:
        hurry = switching_fast() if self._takes else contextlib.nullcontext()
        with hurry, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._work(opening))
            except BaseException as error:
                self._at_home(partial(self._failed, error))
            else:
                self._at_home(self._over)

    async def _work(self, opening: Opening) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self._lane = await stack.enter_async_context(opening())
            if self._serving is not None:
                self.url = await stack.enter_async_context(self._serving(self._lane))
            self._working = asyncio.create_task(self._lane.run(), name="control lane")
            self._at_home(lambda: self._opened.set_result(None))
            with contextlib.suppress(asyncio.CancelledError):
                await self._working

    def _over(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _failed(self, error: BaseException) -> None:
        future = self._ended if self._opened.done() else self._opened
        if not future.done():
            future.set_exception(error)

    def _at_home(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the node's loop is closed: nobody is left to hear
            self._home.call_soon_threadsafe(call)
