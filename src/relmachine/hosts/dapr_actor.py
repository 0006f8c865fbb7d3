"""The running half: a call that came to this node becomes turns of its local host, and an answer that is a value.

The actor keeps nothing. Placement may be wrong for a while and run a thread on two nodes at once; each then runs turns
in good faith, and the fence in the store accepts one of them. Nothing here relies on the sidecar's turn lock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from relmachine.errors import Code, RelmError
from relmachine.hosts.dapr_outcome import Advanced, Failed, Outcome, decode_hint, encode_outcome
from relmachine.kernel.thread_token import check_thread

if TYPE_CHECKING:
    from relmachine.hosts.port import Host

METHOD = "advance"
"""The one method of the actor."""


def actor_type(machine: str) -> str:
    """The actor type of a machine; its ids are `actor_id` of its threads."""
    return f"relm.{machine}"


def actor_id(thread: str) -> str:
    """The actor of a thread. Sidecars put ids into paths and decode them more often than they encode them."""
    return thread.replace("%", "!")


def thread_of(actor: str) -> str:
    """The thread of an actor. Errors: `thread_name_invalid` when no thread has this actor."""
    return check_thread(actor.replace("!", "%"))


class ActorTurns:
    """Runs turns on `local` for whoever calls, each call for at most `seconds_max`."""

    def __init__(self, local: Host, seconds_max: float) -> None:
        self._local, self._seconds_max = local, seconds_max
        self._running = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.calls = 0

    async def advance(self, actor: str, body: bytes) -> bytes:
        """Turns of the actor's thread until its cursor has reached the hint in `body`. Raises only when cancelled."""
        self.calls += 1
        return encode_outcome(await self._outcome(actor, body))

    async def drain(self) -> None:
        """Answer new calls with a failure, and return when the calls that run are answered."""
        self._draining = True
        await self._idle.wait()

    async def _outcome(self, actor: str, body: bytes) -> Outcome:
        if self._draining:
            return _closing()
        self._running += 1
        self._idle.clear()
        thread = ""
        try:
            thread = thread_of(actor)
            return await self._turns(thread, decode_hint(body))
        except OSError as error:
            return Failed(code=Code.UNREACHABLE, sentence=f"a part of the node is away: {error!r}")
        except Exception as error:
            told = error if isinstance(error, RelmError) else RelmError(Code.INTERNAL, f"a turn failed: {error!r}")
            return Failed(code=told.code, sentence=told.sentence, resting_seconds=self._local.resting(thread))
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _turns(self, thread: str, hint: int) -> Outcome:
        patience = asyncio.timeout(self._seconds_max)
        try:
            async with patience:
                return Advanced(cursor=await self._local.advance(thread, hint))
        except TimeoutError:
            if not patience.expired():
                raise
            sentence = f"turn_seconds_max={self._seconds_max:g} is over; the hint, handed back, takes up the rest"
            return Failed(code=Code.LIMIT_EXCEEDED, sentence=sentence)
        except asyncio.CancelledError:
            # The local host cancels who waits when it closes; a task that is cancelled itself must end as cancelled.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return _closing()


def _closing() -> Failed:
    return Failed(code=Code.UNREACHABLE, sentence="the node closes; another one takes the thread")


class BodySerializer:
    """Bodies cross the SDK as they are: its own serializer rewrites texts that look like dates or durations."""

    def serialize(self, obj: object, custom_hook: object = None) -> bytes:
        """The bytes that the actor answered."""
        assert isinstance(obj, bytes)
        return obj

    def deserialize(self, data: bytes, data_type: object = None, custom_hook: object = None) -> bytes:
        """The bytes of the call."""
        return data


def history_actor(type_name: str, turns: ActorTurns) -> type[Any]:
    """The actor class of a machine, for the runtime of the Dapr SDK (imported here, so that nothing else needs it)."""
    from dapr.actor import Actor, ActorInterface, actormethod

    class HistoryActorInterface(ActorInterface):
        """The one call that a sidecar forwards."""

        @actormethod(name=METHOD)
        async def advance(self, body: bytes) -> bytes:  # pyright: ignore[reportReturnType]
            """See `ActorTurns.advance`."""

    class HistoryActor(Actor, HistoryActorInterface):
        """One thread on the node where it is placed. Keeps no state."""

        async def advance(self, body: bytes) -> bytes:
            """See `ActorTurns.advance`."""
            return await turns.advance(self.id.id, body)

    HistoryActor.__name__ = type_name
    return HistoryActor
