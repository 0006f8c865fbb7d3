"""Goal: the threads of a process change faster while a lane takes records in one of them, and only then. Method: lanes
that begin and end, one within another; the interval that the interpreter says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relmachine.hosts.lane import ControlLane
from relmachine.node.lane import LaneThread


@asynccontextmanager
async def opening() -> AsyncIterator[ControlLane]:
    yield cast(Any, SimpleNamespace(run=asyncio.Event().wait))


@pytest.mark.parametrize("takes", [True, False])
def test_threads_change_faster_while_a_lane_takes_records_in_one(takes: bool) -> None:
    async def work() -> None:
        before = sys.getswitchinterval()
        first = await LaneThread.start(opening, takes=takes)
        second = await LaneThread.start(opening, takes=takes)
        assert (sys.getswitchinterval() < before) is takes
        await first.close()
        assert (sys.getswitchinterval() < before) is takes, "the second one is there"
        await second.close()
        assert sys.getswitchinterval() == before

    asyncio.run(work())
