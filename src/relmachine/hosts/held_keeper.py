"""The time-out of steps that are held: a node that saw one wait for too long says so on the stream.

The clock decides nothing but when the record is published; the record decides, wherever and however often it is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from relmachine.hosts.sweep import Sweep
from relmachine.kernel.control import RELEASE
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.follow_ups import RELEASE_SOURCE
from relmachine.machine.plan import HOLD_SECONDS
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import message_id

if TYPE_CHECKING:
    from relmachine.machine.plan import Plan
    from relmachine.store.held import HeldSteps, Waiting
    from relmachine.stream.port import Publisher

Key = tuple[str, int]
"""Thread, and stream sequence of the step."""

PRINCIPAL = "relm"
"""Who releases a step whose time is over: the node, on nobody's behalf."""


class HeldKeeper:
    """Steps held in the store of one node. `clock` gives seconds."""

    def __init__(
        self, plan: Plan, steps: HeldSteps, publisher: Publisher, clock: Callable[[], float] | None = None
    ) -> None:
        self._plan, self._steps, self._publisher = plan, steps, publisher
        self._clock = clock or asyncio.get_running_loop().time
        self._since: dict[Key, float] = {}
        self._told: set[Key] = set()
        self._sweep = Sweep("held", self.look)

    def start(self) -> None:
        """Begin."""
        self._sweep.start()

    async def close(self) -> None:
        """Stop; what is held stays so, for another node or the next life."""
        await self._sweep.close()

    async def look(self) -> None:
        """Publish releases of the steps whose time is over, or whose thread has ended; each once in this life.

        Errors: `unreachable` when store or stream are.
        """
        now, found = self._clock(), await self._steps.waiting()
        self._since = {_key(step): self._since.get(_key(step), now) for step in found}
        self._told &= self._since.keys()
        due = [step for step in found if _key(step) not in self._told and self._is_due(step, now)]
        if due:
            await self._publisher.publish(_releases(due))
            self._told.update(map(_key, due))

    def _is_due(self, step: Waiting, now: float) -> bool:
        plan = self._plan.step(step.step)
        return step.over or now - self._since[_key(step)] > (HOLD_SECONDS if plan is None else plan.hold_seconds)


def _key(step: Waiting) -> Key:
    return step.thread, step.sequence


def _releases(steps: Sequence[Waiting]) -> list[Outgoing]:
    """The same from every node, so that it is one record."""
    made: list[Outgoing] = []
    for step in steps:
        data: dict[str, object] = {"held": step.sequence, "expired": True}
        envelope = Envelope(
            id=f"expired/{step.sequence}", source=RELEASE_SOURCE, type=RELEASE, data=data, principal=PRINCIPAL
        )
        body = envelope.wire()
        made.append(Outgoing(step.thread, RELEASE, body, message_id(step.thread, body)))
    return made
