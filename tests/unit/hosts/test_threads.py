"""Goal: of the thread states in memory those go first that were used longest ago, whether read or committed. Method: a
store that keeps which states it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from relmachine.hosts.threads import HotThreads
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.machine import Machine


class Asked:
    """A store without threads."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    async def states(self, threads: Sequence[str]) -> Mapping[str, ThreadState]:
        self.threads += threads
        return {}


def test_a_state_that_is_only_read_stays_before_one_that_nobody_asks_for() -> None:
    machine = Machine("talk")
    machine.step("say", kind="process")
    plan, store = machine.plan(), Asked()
    hot = HotThreads(plan, cast(Any, store), 2)
    hot.keep([initial_state(plan, "busy"), initial_state(plan, "idle")])
    asyncio.run(hot.load(["busy"]))
    hot.keep([initial_state(plan, "new")])
    asyncio.run(hot.load(["busy", "new", "idle"]))
    assert store.threads == ["idle"]
