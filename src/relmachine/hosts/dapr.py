"""The cluster's host: a thread's turns run on the node where the sidecars place its actor.

The dispatcher of any node asks; the call passes the node's sidecar, perhaps the sidecar of another node, and ends in
that node's local host. Placement spares two nodes the same work; it decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relmachine.errors import Code, RelmError
from relmachine.hosts.cursors import Cursors
from relmachine.hosts.dapr_actor import ActorTurns, actor_type
from relmachine.hosts.dapr_app import ActorApp
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_client import SidecarCaller
from relmachine.hosts.dapr_outcome import Advanced, Failed, decode_outcome, encode_hint
from relmachine.hosts.dapr_server import ActorServer
from relmachine.hosts.dapr_tokens import NO_TOKENS, DaprTokens
from relmachine.hosts.parking import Resting
from relmachine.hosts.pauses import Pauses

if TYPE_CHECKING:
    from relmachine.hosts.local import LocalHost


class ActorCaller(Protocol):
    """Calls the actor of a thread, wherever it is placed."""

    async def call(self, thread: str, body: bytes) -> bytes:
        """The actor's answer. Errors: `unreachable` when the call did not end in an answer of the actor."""
        ...

    async def placed(self) -> bool:
        """Whether threads may be placed on this node now."""
        ...

    async def close(self) -> None:
        """Let go of the sidecar."""
        ...


class ActorServing(Protocol):
    """Lets the sidecar call this node's actors."""

    async def start(self) -> None:
        """Begin. Errors: `unreachable` when there is no place to listen."""
        ...

    def leave(self) -> None:
        """Ask the sidecar to take the actors away."""
        ...

    async def close(self) -> None:
        """Answer no more."""
        ...


@dataclass(slots=True)
class _Demand:
    """The furthest sequence asked for while an earlier call of the thread runs, and the answer to come."""

    hint: int
    answer: asyncio.Future[int | RelmError]


class DaprHost:
    """Implements `Host` by calls to actors.

    A thread has one call of this node on the way; what is asked meanwhile shares the next one, since calls of one actor
    queue behind each other in its sidecar. What `cursors` know to be decided needs no call: turns read ahead, so under
    load that is most of what is asked.
    """

    def __init__(
        self,
        caller: ActorCaller,
        server: ActorServing,
        turns: ActorTurns,
        bounds: DaprBounds,
        cursors: Cursors,
        pauses: Pauses | None = None,
    ) -> None:
        self._caller, self._server, self._turns, self._bounds = caller, server, turns, bounds
        self._cursors, self._pauses = cursors, pauses or Pauses()
        self._slots = asyncio.Semaphore(bounds.calls_in_flight_max)
        self._waiting: dict[str, _Demand] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._resting = Resting(lambda: asyncio.get_running_loop().time())
        self._closing = False
        self.calls_made = self.calls_failed = 0

    @classmethod
    async def start(
        cls,
        local: LocalHost,
        machine: str,
        sidecar: str,
        listen: str,
        bounds: DaprBounds | None = None,
        tokens: DaprTokens = NO_TOKENS,
        pauses: Pauses | None = None,
    ) -> DaprHost:
        """Take part in placement through the sidecar whose gRPC API is at `sidecar`, which calls back at `listen`.

        Turns that are placed here run on `local`, which outlives this host. Addresses are host:port; `tokens` are what
        the sidecar was started with.
        Errors: `unreachable` when `listen` is taken, or when the node is not placed within `start_seconds_max`.
        """
        bounds = bounds or DaprBounds()
        turns = ActorTurns(local, bounds.turn_seconds_max)
        caller = SidecarCaller(sidecar, actor_type(machine), bounds, tokens)
        app = ActorApp(actor_type(machine), turns, bounds, tokens)
        host = cls(caller, ActorServer(app, listen, caller.for_actors()), turns, bounds, local.cursors, pauses)
        try:
            await host._server.start()
            if not await host._until_placed(bounds.start_seconds_max, True):
                raise _no_place(sidecar, bounds)
        except BaseException:
            await host.close()
            raise
        return host

    @property
    def waiting(self) -> int:
        """Threads with demands that no call has taken yet."""
        return len(self._waiting)

    async def advance(self, thread: str, hint: int) -> int:
        """See `Host.advance`. Errors: what the node that holds the thread answered, or `unreachable`."""
        if self._closing:
            raise asyncio.CancelledError
        demand = self._waiting.get(thread)
        if demand is None:
            demand = self._waiting[thread] = _Demand(hint, asyncio.get_running_loop().create_future())
        demand.hint = max(demand.hint, hint)
        if thread not in self._calls:
            self._calls[thread] = asyncio.create_task(self._run(thread), name="actor calls")
        answer = await asyncio.shield(demand.answer)
        if isinstance(answer, RelmError):
            raise answer
        return answer

    def reached(self, thread: str) -> int:
        """See `Host.reached`."""
        return self._cursors.reached(thread)

    def resting(self, thread: str) -> float:
        """See `Host.resting`: what the node that has the thread told, here with its last answer, or this one knows."""
        return max(self._resting.seconds(thread), self._pauses.seconds(thread))

    async def close(self) -> None:
        """See `Host.close`. Calls on the way end within `call_seconds_max`; then the sidecar takes the threads away
        within `leave_seconds_max`, while their turns still run here; those that are left end within `turn_seconds_max`.
        A second time does nothing.
        """
        if self._closing:
            return
        self._closing = True
        for demand in self._waiting.values():
            demand.answer.cancel()
        self._waiting.clear()
        await asyncio.gather(*self._calls.values())
        self._server.leave()
        await self._until_placed(self._bounds.leave_seconds_max, False)
        await self._turns.drain()
        await self._server.close()
        await self._caller.close()

    async def _until_placed(self, seconds: float, wanted: bool) -> bool:
        """Wait until the node is placed, or is not; whether that came true in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._caller.placed() is not wanted:  # noqa: ASYNC110 - a sidecar tells only when asked
                    await asyncio.sleep(self._bounds.look_seconds)
                return True
        return False

    async def _run(self, thread: str) -> None:
        """Call as long as something is asked of the thread."""
        try:
            while thread in self._waiting:
                async with self._slots:
                    demand = self._waiting.pop(thread, None)
                    if demand is not None:
                        demand.answer.set_result(await self._answer(thread, demand.hint))
        finally:
            del self._calls[thread]

    async def _answer(self, thread: str, hint: int) -> int | RelmError:
        """What is known by now, after the wait for a slot, else what the actor says."""
        if (known := self._cursors.reached(thread)) >= hint:
            return known
        answer = await self._call(thread, hint)
        if isinstance(answer, int):
            self._cursors.note(thread, answer)
        return answer

    async def _call(self, thread: str, hint: int) -> int | RelmError:
        self.calls_made += 1
        try:
            outcome = decode_outcome(await self._caller.call(thread, encode_hint(hint)))
        except RelmError as error:
            self.calls_failed += 1
            return error
        except Exception as error:
            # Whoever waits must be answered, whatever went wrong with the call.
            self.calls_failed += 1
            return RelmError(Code.INTERNAL, f"the call of the actor failed: {error!r}", thread=thread)
        match outcome:
            case Advanced(cursor=cursor):
                return cursor
            case Failed(code=code, sentence=sentence):
                self.calls_failed += 1
                self._resting.note(thread, outcome.resting_seconds)
                return RelmError(code, sentence, thread=thread)


def _no_place(sidecar: str, bounds: DaprBounds) -> RelmError:
    sentence = (
        "see that the sidecar and placement run: the node is not placed among the others after "
        f"start_seconds_max={bounds.start_seconds_max:g} s"
    )
    return RelmError(Code.UNREACHABLE, sentence, sidecar=sidecar)
