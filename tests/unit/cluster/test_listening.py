"""Goal: whoever may ask is answered, whatever is asked and whoever goes away meanwhile. Method: a socket in a folder
with a change that does nothing, asked by the real client and by clumsy ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from relmachine.cluster import asking, listening
from relmachine.cluster.asking import ask
from relmachine.cluster.holding import holding
from relmachine.cluster.listening import socket_path
from relmachine.cluster.requests import Add, Done, Remove, Request
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import ClusterState, Wish
from relmachine.errors import Code, RelmError

DONE = Done(changed=("node-4",), nodes=("node-1", "node-4"))

Tell = Callable[[str], None]


class Change:
    """A change that waits until it is let go; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.go, self.begun, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Request, tell: Tell) -> Done:
        self.asked.append(request)
        tell("it begins")
        self.begun.set()
        await self.go.wait()
        self.ended.set()
        return DONE


def on(folder: Path, talk: Callable[[Change], Coroutine[None, None, None]]) -> None:
    """Run `talk` while a supervisor that keeps nothing listens in `folder`."""

    folder.mkdir(parents=True, exist_ok=True)

    async def run() -> None:
        spec = ClusterSpec(1, folder, "small", folder / "small.yaml", 20_000)
        ClusterState(wish=Wish.of(spec), supervisor_pid=os.getpid(), processes=[]).save(folder)
        change = Change()
        with holding(folder):
            async with asyncio.timeout(30), listening.listening(folder) as listener:
                listener.carry_out = change
                await talk(change)

    asyncio.run(run())
    assert not list(folder.glob("*.sock"))


def test_an_answer_comes_with_what_happened_meanwhile(tmp_path: Path) -> None:
    async def talk(change: Change) -> None:
        told: list[str] = []
        change.go.set()
        asked = Add(nodes=("node-4",))
        assert await asyncio.to_thread(ask, tmp_path, asked, told.append) == DONE
        assert (change.asked, told) == ([asked], ["it begins"])

    on(tmp_path, talk)


def test_the_folder_may_have_a_long_path_and_only_its_owner_may_ask(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 120)

    async def talk(change: Change) -> None:
        change.go.set()
        assert await asyncio.to_thread(ask, folder, Remove(nodes=("node-4",)), lambda _: None) == DONE
        (found,) = folder.glob("*.sock")
        assert stat.S_IMODE(found.stat().st_mode) == 0o600

    on(folder, talk)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"\n",
            b"{\n",
            b"[]\n",
            b'{"verb":"burn"}\n',
            b'{"verb":"remove","nodes":[]}\n',
            b'{"verb":"add","count":0}\n',
        ),
        *(b'{"verb":"remove","nodes":["node-1"],"more":1}\n', b"x" * 200_000 + b"\n", b'{"verb":"add"'),
    ],
)
def test_a_request_that_is_none_is_refused(tmp_path: Path, line: bytes) -> None:
    async def talk(change: Change) -> None:
        with socket_path(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        writer.write_eof()
        answer = json.loads((await reader.read()).splitlines()[-1])
        assert answer["error"]["code"] == "query_refused"
        assert change.asked == []
        writer.close()

    on(tmp_path, talk)


def test_whoever_asks_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "REQUEST_SECONDS_MAX", 0.2)

    async def talk(_: Change) -> None:
        with socket_path(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        assert json.loads(await reader.read())["error"]["code"] == "query_refused"
        writer.close()

    on(tmp_path, talk)


def test_a_change_goes_on_when_whoever_asked_is_gone(tmp_path: Path) -> None:
    async def talk(change: Change) -> None:
        with socket_path(tmp_path) as path:
            _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"verb":"add"}\n')
        await change.begun.wait()
        writer.transport.abort()
        await asyncio.sleep(0)
        change.go.set()
        await change.ended.wait()

    on(tmp_path, talk)


def test_a_change_that_the_end_interrupts_says_who_goes_on(tmp_path: Path) -> None:
    async def talk(change: Change) -> None:
        with socket_path(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"verb":"add"}\n')
        await change.begun.wait()
        heard.append((reader, writer))

    heard: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run() -> bytes:
        change = Change()
        async with asyncio.timeout(30):
            async with listening.listening(tmp_path) as listener:
                listener.carry_out = change
                await talk(change)
            reader, writer = heard[0]
            lines = await reader.read()
            writer.close()
            assert not change.ended.is_set()
            return lines

    error = json.loads(asyncio.run(run()).splitlines()[-1])["error"]
    assert error["code"] == "unreachable" and "relm up" in error["sentence"]


def test_a_defect_in_a_change_is_answered_and_ends_nothing(tmp_path: Path) -> None:
    async def broken(_request: Request, _tell: Tell) -> Done:
        raise ZeroDivisionError("no")

    async def run() -> None:
        with holding(tmp_path):
            spec = ClusterSpec(1, tmp_path, "small", tmp_path / "small.yaml", 20_000)
            ClusterState(wish=Wish.of(spec), supervisor_pid=os.getpid(), processes=[]).save(tmp_path)
            async with listening.listening(tmp_path) as listener:
                listener.carry_out = broken
                for _ in range(2):
                    with pytest.raises(RelmError) as failed:
                        await asyncio.to_thread(ask, tmp_path, Add(), lambda _: None)
                    assert failed.value.code is Code.INTERNAL

    asyncio.run(run())


def test_signs_of_life_keep_a_client_waiting_and_silence_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SILENCE_SECONDS_MAX", 0.5)
    monkeypatch.setattr(listening, "SIGN_SECONDS", 0.1)

    async def talk(change: Change) -> None:
        asked = asyncio.create_task(asyncio.to_thread(ask, tmp_path, Add(), lambda _: None))
        began = time.monotonic()
        await change.begun.wait()
        while time.monotonic() < began + 1.0:  # twice as long as it bears silence
            await asyncio.wait({asked}, timeout=0.1)
        assert not asked.done()
        change.go.set()
        assert await asked == DONE
        monkeypatch.setattr(listening, "SIGN_SECONDS", 60.0)
        change.go.clear()
        with pytest.raises(RelmError) as frozen:
            await asyncio.to_thread(ask, tmp_path, Add(), lambda _: None)
        assert frozen.value.code is Code.UNREACHABLE and "relm up" in frozen.value.sentence

    on(tmp_path, talk)


def test_while_it_starts_whoever_asks_is_told_to_come_again(tmp_path: Path) -> None:
    async def talk() -> None:
        with socket_path(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"verb":"add"}\n')
        error = json.loads((await reader.read()).splitlines()[-1])["error"]
        assert error["code"] == "unreachable" and "is starting" in error["sentence"]
        writer.close()

    async def run() -> None:
        async with asyncio.timeout(30), listening.listening(tmp_path):
            await talk()

    asyncio.run(run())


def test_nobody_listens(tmp_path: Path) -> None:
    def refused() -> RelmError:
        with pytest.raises(RelmError) as error:
            ask(tmp_path, Add(), lambda _: None)
        return error.value

    assert refused().code is Code.NOT_FOUND
    spec = ClusterSpec(1, tmp_path, "small", tmp_path / "small.yaml", 20_000)
    ClusterState(wish=Wish.of(spec), supervisor_pid=os.getpid(), processes=[]).save(tmp_path)
    absent = refused()
    assert absent.code is Code.UNREACHABLE and "relm up" in absent.sentence
    with holding(tmp_path):
        assert "is starting" in refused().sentence
        with socket.socket(socket.AF_UNIX) as left, socket_path(tmp_path) as path:
            left.bind(path)  # as a supervisor leaves it that was killed
        assert "is starting" in refused().sentence
