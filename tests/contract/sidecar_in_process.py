"""A sidecar without a process: the SDK's own runtime calls the actors, with a turn lock as a sidecar has one."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from unittest.mock import create_autospec

from dapr.actor.runtime.runtime import ActorRuntime
from dapr.clients.base import DaprActorClientBase

from relmachine.errors import Code, RelmError
from relmachine.hosts.dapr_actor import METHOD, ActorTurns, BodySerializer, actor_id, actor_type, history_actor

ACTOR = actor_type("contract")


class InProcessSidecar:
    """Implements `ActorCaller` and `ActorServing`.

    While `away`, no call is answered; while `unlocked`, every call is made twice at once and the second answer given.
    """

    def __init__(self, turns: ActorTurns) -> None:
        self._turns = turns
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.away = False
        self.unlocked = False
        self.closed: list[str] = []
        self.calls = 0
        self._well = False

    async def start(self) -> None:
        actor, body = history_actor(ACTOR, self._turns), BodySerializer()
        client = create_autospec(DaprActorClientBase, instance=True)
        await ActorRuntime.register_actor(actor, body, body, actor_client=client)
        self._well = True

    async def placed(self) -> bool:
        return self._well

    def leave(self) -> None:
        self._well = False

    async def call(self, thread: str, body: bytes) -> bytes:
        self.calls += 1
        if self.away:
            raise RelmError(Code.UNREACHABLE, "see that the sidecar runs", thread=thread)
        if self.unlocked:
            return (await asyncio.gather(*(self._dispatch(thread, body) for _ in range(2))))[1]
        async with self._locks[thread]:
            return await self._dispatch(thread, body)

    async def close(self) -> None:
        self.closed.append("closed")

    async def _dispatch(self, thread: str, body: bytes) -> bytes:
        return await ActorRuntime.dispatch(ACTOR, actor_id(thread), METHOD, body)
