"""Goal: who holds a control record up runs at once where that is allowed, for as long as it takes and not for ever.

Method: threads that look at their own policy, with the right to it and without; a store's writers; a clock by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from relmachine import realtime
from relmachine.realtime import at_once, is_at_once
from relmachine.store import sqlite_lane, writing
from relmachine.store.sqlite import SqliteStore
from tests.contract.store_lane_contract import told
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread run at once")

_T = TypeVar("_T")

_ASKS = """
import json, os, resource, sys
from relmachine.realtime import at_once, is_at_once
if sys.argv[1] != "as it is":
    try:
        resource.setrlimit(resource.RLIMIT_RTPRIO, (int(sys.argv[1]),) * 2)
        os.setuid(65534)
    except (ValueError, OSError) as error:
        sys.exit(f"cannot: {error}")
with at_once() as has:
    told = [has, is_at_once()]
print(json.dumps([*told, is_at_once()]))
"""


def asked(*before: str, limit: str = "as it is") -> list[bool]:
    """Of a process: whether it has it, whether the kernel says so, and whether that is so afterwards."""
    command = [*before, sys.executable, "-c", _ASKS, limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr.startswith("cannot: "):
        pytest.skip(f"this machine lets nobody try: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_thread(work: Callable[[], _T]) -> _T:
    """In a thread of its own, whose policy is nobody else's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@pytest.fixture(scope="module")
def allowed() -> bool:
    """What this machine allows."""
    tries = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    may = subprocess.run([sys.executable, "-c", tries], capture_output=True, check=False).returncode == 0
    return may and os.getpriority(os.PRIO_PROCESS, 0) <= 0


def test_a_thread_runs_at_once_within_the_block_alone(allowed: bool) -> None:
    def work() -> list[bool]:
        with at_once() as has:
            inside = is_at_once()
            with at_once() as again:
                pass
            after_inner = is_at_once()
        return [has, inside, again, after_inner, is_at_once()]

    assert in_thread(work) == [allowed, allowed, allowed, allowed, False]
    assert not is_at_once()


def test_it_ends_with_an_error_too() -> None:
    def work() -> bool:
        with contextlib.suppress(KeyError), at_once():
            raise KeyError
        return is_at_once()

    assert in_thread(work) is False


@pytest.mark.parametrize("limit", ["0", "1"])
def test_others_have_it_by_the_limit(limit: str, allowed: bool) -> None:
    has = limit == "1"
    if has and not allowed:
        pytest.skip("this machine lets nobody run at once")
    assert asked(limit=limit) == [has, has, False]


@pytest.mark.parametrize("behind", [("nice", "-n", "5"), ("chrt", "--batch", "0"), ("chrt", "--idle", "0")])
def test_what_was_put_behind_others_stays_there(behind: tuple[str, ...]) -> None:
    assert asked(*behind) == [False, False, False]


def test_who_was_started_with_it_keeps_it(allowed: bool) -> None:
    async def busy_for_long() -> None:
        await asyncio.wait_for(realtime.stay_at_once(), 60.0)

    def work() -> list[bool]:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        with at_once() as has:
            asyncio.run(busy_for_long())
        return [has, os.sched_getscheduler(0) == os.SCHED_FIFO]

    if not allowed:
        pytest.skip("this machine lets nobody run at once")
    assert in_thread(work) == [True, True]


@pytest.mark.parametrize("refusal", [PermissionError, OSError])
def test_where_the_kernel_refuses_the_work_is_done_all_the_same(
    monkeypatch: pytest.MonkeyPatch, refusal: type[OSError]
) -> None:
    def refuse(pid: int, policy: int, param: os.sched_param) -> None:
        raise refusal

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with at_once() as has:
        assert has is False


def test_whoever_writes_to_the_file_has_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    seen: dict[str, bool] = {}

    def watched(room: object, name: str) -> None:
        does = getattr(room, name)

        def work(*given: object) -> object:
            seen[name] = is_at_once()
            return does(*given)

        monkeypatch.setattr(room, name, work)

    watched(writing, "stage")
    watched(writing, "move")
    watched(sqlite_lane, "_taken")

    async def test() -> None:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan)
        await store.commit([made.notes("t", 1)])
        await store.control([told(made, "t", 1, "cancel", reason="enough")])
        await store.close()

    asyncio.run(test())
    assert seen == {"stage": False, "move": allowed, "_taken": allowed}


_LOOKS = """
import asyncio, json, os, threading, sys
from relmachine import realtime
from relmachine.realtime import AGAIN_SECONDS, BUSY_SHARE_MAX, LOOK_SECONDS
if sys.argv[1] == "started with it":
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(7))
shares = [0.1, BUSY_SHARE_MAX + 0.1, 0.9, BUSY_SHARE_MAX, 0.0]
seen, end = [], threading.Event()
worker = threading.Thread(target=end.wait)
worker.start()

def look():
    return [os.sched_getscheduler(thread) == os.SCHED_RR for thread in (0, worker.native_id)]

class Clock:
    used = now = 0.0
    def monotonic(self):
        return self.now
    def process_time(self):
        return self.used

async def sleep(seconds):
    seen.append([seconds == AGAIN_SECONDS, *look()])
    if sys.argv[1] == "put behind":
        shares.insert(0, 0.0)
        for thread in threading.enumerate():
            os.setpriority(os.PRIO_PROCESS, thread.native_id, 5)
    if not shares:
        raise asyncio.CancelledError
    clock.now += seconds
    clock.used += seconds * shares.pop(0)

clock = realtime.time = Clock()
realtime.asyncio.sleep = sleep
try:
    asyncio.run(realtime.stay_at_once())
except asyncio.CancelledError:
    pass
print(json.dumps([seen, look()]))
end.set()
"""


def looks(given: str) -> tuple[list[list[bool]], list[bool]]:
    """Of each look: whether the next is far off, and whether the loop's thread and another have it; and in the end."""
    command = [sys.executable, "-c", _LOOKS, given]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_a_process_that_is_busy_has_it_no_longer_and_a_calm_one_again(allowed: bool) -> None:
    if not allowed:
        pytest.skip("this machine lets nobody run at once")
    soon, later = [False, True, True], [True, False, False]
    assert looks("") == [[soon, soon, later, later, soon, soon], [False, False]]


def test_a_process_that_was_started_with_it_is_left_alone(allowed: bool) -> None:
    if not allowed:
        pytest.skip("this machine lets nobody run at once")
    assert looks("started with it") == [[], [True, True]]


def test_a_process_that_is_put_behind_others_meanwhile_has_it_no_longer(allowed: bool) -> None:
    if not allowed:
        pytest.skip("this machine lets nobody run at once")
    assert looks("put behind")[1] == [False, False]


def test_who_is_put_behind_others_meanwhile_loses_it(allowed: bool) -> None:
    def work() -> list[bool]:
        with at_once() as has:
            os.setpriority(os.PRIO_PROCESS, 0, 5)
        return [has, is_at_once()]

    assert in_thread(work) == [allowed, False]


def test_a_kernel_that_does_not_tell_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "sched_getscheduler", refuse)
    with at_once() as has:
        assert has is False
    asyncio.run(realtime.stay_at_once())
