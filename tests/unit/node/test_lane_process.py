"""Goal: the process of the control lane ends by itself when the lane does, and with its node; it is started again as
long as it stays for a while. Method: the real child with a lane that does as it is told, children that end at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.kernel.limits import Limits
from relmachine.node import lane_process, supervision
from relmachine.node.lane_process import LaneProcess
from relmachine.node.lane_told import LaneTold
from relmachine.priority import NICE
from relmachine.store.declaration import dump_plan
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.stream.bounds import StreamBounds
from tests.unit.runs.incident import machine

SECONDS_MAX = 30.0
CHILD = """
import asyncio, contextlib, sys
from relmachine.errors import Code, RelmError
from relmachine.node import lane_child

class Lane:
    async def run(self):
        if {gives_up}:
            raise RelmError(Code.UNREACHABLE, "the stream is gone")
        await asyncio.Event().wait()

@contextlib.asynccontextmanager
async def lane_parts(*given, **named):
    yield Lane()

@contextlib.asynccontextmanager
async def serving(*given):
    yield "http://127.0.0.1:1"

lane_child.lane_parts, lane_child.serving = lane_parts, serving
lane_child.build_control_app = lambda *given: None
sys.exit(lane_child.main())
"""
BRIEF = 'import sys; sys.stdin.readline(); print(\'{"url": "http://127.0.0.1:1"}\', flush=True)'
"""A child that serves and ends."""


def told() -> LaneTold:
    return LaneTold(
        plan=dump_plan(machine().plan()),
        limits=Limits(),
        stream="nats://127.0.0.1:1",
        stream_bounds=StreamBounds(),
        store_id="s",
        store_path=Path("store.db"),
        store_urls=(),
        rqlite_bounds=RqliteBounds(),
        grants=None,
        opa_url=None,
        opa_bounds=OpaBounds(),
        reclaim=True,
        host="127.0.0.1",
        port=0,
    )


@pytest.mark.parametrize("gives_up", [True, False])
def test_it_ends_when_its_lane_does_or_its_node(gives_up: bool) -> None:
    async def work() -> None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD.format(gives_up=gives_up)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        try:
            async with asyncio.timeout(SECONDS_MAX):
                child.stdin.write(told().model_dump_json().encode() + b"\n")
                assert json.loads(await child.stdout.readline()) == {"url": "http://127.0.0.1:1"}
                if not gives_up:
                    child.stdin.close()
                assert await child.wait() == (1 if gives_up else 0)
            log = (await child.stderr.read()).decode()
            if gives_up:
                error = json.loads(await child.stdout.readline())["error"]
                assert (error["code"], error["sentence"]) == ("unreachable", "the stream is gone")
                assert "the stream is gone" in log
            assert "Traceback" not in log
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    asyncio.run(work())


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Children that end at once, without a pause between them; as many as were started."""
    found: list[int] = []
    launch = LaneProcess._launch

    async def counted(self: LaneProcess) -> None:
        found.append(len(found))
        await launch(self)

    monkeypatch.setattr(LaneProcess, "_launch", counted)
    monkeypatch.setattr(lane_process, "CHILD", ("-S", "-c", BRIEF))
    monkeypatch.setattr(supervision, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(supervision, "RESTARTS_MAX", 3)
    return found


def fake() -> Any:
    words: Any = SimpleNamespace(model_dump_json=lambda: "{}")
    words.model_copy = lambda update: words
    return words


def _may(tries: str) -> bool:
    """Whether this machine lets a process do it that was not put behind others."""
    if sys.platform != "linux" or os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return False
    done = subprocess.run([sys.executable, "-c", f"import os; {tries}"], capture_output=True, check=False)
    return done.returncode == 0


def test_it_goes_first_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_process, "CHILD", ("-c", CHILD.format(gives_up=False)))
    raised = _may(f"os.setpriority(os.PRIO_PROCESS, 0, {NICE})")
    start = os.getpriority(os.PRIO_PROCESS, 0)

    async def work() -> None:
        process = await LaneProcess.start(told())
        assert os.getpriority(os.PRIO_PROCESS, process.pid or 0) == (min(start, NICE) if raised else start)
        await process.close()

    asyncio.run(work())


def test_it_runs_at_once_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_process, "CHILD", ("-c", CHILD.format(gives_up=False)))
    if not _may("os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"):
        pytest.skip("this machine lets nobody run at once")

    async def work() -> None:
        process = await LaneProcess.start(told())
        async with asyncio.timeout(SECONDS_MAX):
            while os.sched_getscheduler(process.pid or 0) != os.SCHED_RR:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        await process.close()

    asyncio.run(work())


def test_one_that_does_not_stay_is_given_up(starts: list[int]) -> None:
    async def work() -> None:
        process = await LaneProcess.start(cast(LaneTold, fake()))
        async with asyncio.timeout(SECONDS_MAX):
            with pytest.raises(RelmError) as given_up:
                await process.ended()
        assert (given_up.value.code, len(starts)) == (Code.UNREACHABLE, 4)
        await process.close()

    asyncio.run(work())


def test_one_that_does_not_come_up_is_tried_again(starts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        process = await LaneProcess.start(cast(LaneTold, fake()))
        monkeypatch.setattr(lane_process, "CHILD", ("-S", "-c", "pass"))
        async with asyncio.timeout(SECONDS_MAX):
            with pytest.raises(RelmError):
                await process.ended()
        assert len(starts) == 4
        await process.close()

    asyncio.run(work())


def test_one_that_stays_for_a_while_is_started_again_however_often(
    starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "STEADY_SECONDS", 0.0)

    async def work() -> None:
        process = await LaneProcess.start(cast(LaneTold, fake()))
        kept = asyncio.create_task(process.ended())
        async with asyncio.timeout(SECONDS_MAX):
            while len(starts) < 7 and not kept.done():  # noqa: ASYNC110 - a condition of several tasks
                await asyncio.sleep(0.005)
            await process.close()
            await kept
        assert len(starts) >= 7

    asyncio.run(work())
