"""Goal: whoever watches a thread sees its turns as they come, what is not seen is counted, and steps never wait for it.
Method: whole nodes with a real nats-server, watched by the stream's own reader and by the command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from relmachine.cli.thread_watch import line
from relmachine.hosts.telemetry import TelemetryKind
from relmachine.kernel.limits import Limits
from relmachine.node import Node, Settings
from relmachine.observe.port import Accepted
from relmachine.store import reading
from relmachine.store.verify import verify
from tests import permit

pytestmark = pytest.mark.process

THREAD = next(thread for thread, steps in permit.cases().items() if len(steps) > 5)
BODIES = [step.body for step in permit.cases()[THREAD]]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what has no bell."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def decided(node: Node, bodies: list[bytes]) -> None:
    """Publish the bodies and wait for their outcomes."""
    accepted = [cast(Accepted, answer) for answer in await node.submit(THREAD, bodies)]
    assert await node.outcome(THREAD, max(answer.sequence for answer in accepted), 30) is not None


def settings(folder: Path, **limits: int) -> Settings:
    return Settings(data_dir=folder, http=False, limits=Limits(**limits))


def test_turns_are_told_once_to_whoever_watches_the_thread(tmp_path: Path) -> None:
    async def work() -> None:
        async with Node.running(permit.machine(), settings(tmp_path)) as node:
            told: list[dict[str, Any]] = []
            line = node.stream.telemetry
            async with line.watch(THREAD) as bodies, line.watch("another") as others, asyncio.timeout(30):
                await decided(node, BODIES)
                while sum(message["committed"] for message in told) < len(BODIES):
                    told.append(json.loads(await anext(bodies)))
                nothing = asyncio.create_task(anext(others))
                await verify(node.store)
                assert await reading.normal_form(node.store, THREAD, told[-1]["sequence"])
                await node.stream.connection.heard()
                assert not nothing.done(), "of another thread, and of reading everything again, nothing is told"
                nothing.cancel()
                await asyncio.gather(nothing, return_exceptions=True)
            assert {message["kind"] for message in told} == {"turn_committed"}
            assert {message["thread"] for message in told} == {THREAD}
            status = node.status()
            assert (status["telemetry_sent"], status["telemetry_shed"]) == (len(told), 0)

    asyncio.run(work())


def test_an_overloaded_node_tells_nothing_and_counts_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with Node.running(permit.machine(), settings(tmp_path, telemetry_undecided_max=0)) as node:
            await decided(node, BODIES)
            await until(lambda: bool(node.status()["telemetry_shed"]))
            assert node.status()["telemetry_sent"] == 0
            assert (await node.lag()).node.telemetry_shed == node.status()["telemetry_shed"]

    asyncio.run(work())


def test_without_its_stream_a_node_counts_and_goes_on_at_once_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with Node.running(permit.machine(), settings(tmp_path)) as node:
            server = node._parts.server  # pyright: ignore[reportPrivateUsage]
            telemetry = node._parts.telemetry  # pyright: ignore[reportPrivateUsage]
            assert server is not None
            told, tell, restart, released = list[str](), telemetry.tell, server.restart, asyncio.Event()

            def telling(thread: str, kind: TelemetryKind, **facts: object) -> None:
                told.append(kind)
                tell(thread, kind, **facts)

            async def restarting() -> None:
                await released.wait()
                await restart()

            def counted() -> bool:
                """Whether nothing waits, and the sender holds nothing either."""
                return telemetry.sent + telemetry.shed == len(told)

            monkeypatch.setattr(telemetry, "tell", telling)
            monkeypatch.setattr(server, "restart", restarting)
            await decided(node, BODIES[:2])
            os.kill(server.pid, signal.SIGKILL)
            await until(lambda: not node.stream.connection.usable)
            await telemetry._send_waiting()  # pyright: ignore[reportPrivateUsage]
            await until(counted)
            sent, shed = telemetry.sent, telemetry.shed
            telemetry.tell(THREAD, TelemetryKind.PASS_MADE, number=1)
            await telemetry._send_waiting()  # pyright: ignore[reportPrivateUsage] - it does not wait for the stream
            await until(counted)
            assert (telemetry.sent, telemetry.shed) == (sent, len(told) - sent)
            assert telemetry.shed > shed
            released.set()
            await decided(node, BODIES[2:])

    asyncio.run(work())


def test_the_command_prints_what_comes(tmp_path: Path) -> None:
    async def work() -> tuple[str, str]:
        async with Node.running(permit.machine(), settings(tmp_path)) as node:
            command = [sys.executable, "-m", "relmachine", "thread", "watch", THREAD, "--context", str(tmp_path)]
            watching = [
                await asyncio.create_subprocess_exec(*command, *more, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for more in ([], ["--json"])
            ]
            first: list[str] = []
            async with asyncio.timeout(60):
                for one in watching:
                    assert one.stdout is not None
                    heard = asyncio.create_task(one.stdout.readline())
                    while not heard.done():  # it listens once it has connected: until then what is told is not heard
                        node._parts.telemetry.tell(THREAD, TelemetryKind.PASS_MADE, number=7)  # pyright: ignore[reportPrivateUsage]
                        await asyncio.wait([heard], timeout=0.1)
                    first.append(heard.result().decode())
                    one.send_signal(signal.SIGINT)
                    await one.communicate()
                    assert one.returncode == 130
            return first[0], first[1]

    plain, as_json = asyncio.run(work())
    assert plain.rstrip().endswith("pass made  number 7")
    assert json.loads(as_json)["thread"] == THREAD


def test_what_no_node_sends_is_shown_as_it_is() -> None:
    assert line(b"hello") == "hello"
    assert line(b"[1]") == "[1]"
    assert line(b'{"at": "2026-01-01T10:11:12.345+00:00", "kind": "run_ended", "thread": "t", "reason": "done"}') == (
        "10:11:12.345  run ended  reason done"
    )
