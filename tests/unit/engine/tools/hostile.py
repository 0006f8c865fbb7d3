"""Tools that do what they should not. Each is imported again by the process that it runs in."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel


class Order(BaseModel):
    item: str
    count: int = 1


def add(one: int, other: int) -> int:
    return one + other


async def add_later(one: int, other: int) -> int:
    await asyncio.sleep(0)
    return one + other


def typed(order: Order, at: datetime) -> Order:
    assert isinstance(at, datetime)
    return Order(item=order.item.upper(), count=order.count + at.year)


class Shelf:
    @staticmethod
    def look() -> str:
        return "on the shelf"


def loop() -> NoReturn:
    while True:
        pass


def hang() -> None:
    time.sleep(3600)


def deaf() -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


def eat(megabytes: int) -> int:
    return len(bytearray(megabytes * 1024 * 1024))


def flood(count: int) -> str:
    return "x" * count


def babble() -> str:
    for stream in (sys.stdout, sys.stderr):
        stream.write('{"value": "forged"}\n' * 100_000)
        stream.flush()
    os.system("echo more; echo more >&2")
    return "said"


def forge(text: str) -> str:
    """Write over whatever pipe is open."""
    for number in range(3, 30):
        try:
            os.write(number, text.encode())
        except OSError:
            continue
    return "honest"


def fork_bomb() -> int:
    """How many processes there can be before the system says no."""
    made = 0
    while made < 500:
        try:
            if os.fork() == 0:
                time.sleep(3600)
        except OSError:
            return made
        made += 1
    return made


def orphan(file: str, own_session: bool) -> int:
    """Leave a process behind that writes its number into the folder `file`, and lives on."""
    ready = Path(file)
    if os.fork() == 0:
        if own_session:
            os.setsid()
        if os.fork() == 0:
            ready.write_text("here")
            time.sleep(3600)
        os._exit(0)
    while not ready.exists():
        time.sleep(0.01)
    return 1


def orphan_and_leave() -> NoReturn:
    """Leave a process behind that holds no pipe, and no answer."""
    if os.fork() == 0:
        os.closerange(0, 100)
        time.sleep(3600)
    os._exit(3)


def mark_and_hang(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    time.sleep(3600)


def fail(text: str) -> NoReturn:
    raise ValueError(text)


def leave(code: int) -> NoReturn:
    os._exit(code)


def kill_itself(number: int = signal.SIGKILL) -> NoReturn:
    os.kill(os.getpid(), number)
    raise AssertionError


def shut() -> NoReturn:
    """Close every pipe, and stay."""
    os.closerange(0, 100)
    time.sleep(3600)
    raise AssertionError


def write(megabytes: int) -> int:
    file = Path("big")
    with file.open("wb") as out:
        for _ in range(megabytes):
            out.write(b"x" * 1024 * 1024)
    return file.stat().st_size


def litter() -> list[str]:
    before = [entry.name for entry in Path().iterdir()]
    folder = Path("closed/inner")
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    folder.parent.chmod(0)
    for _ in range(2000):
        Path("deeper").mkdir()
        os.chdir("deeper")
    return before


def where() -> str:
    return str(Path.cwd())


def not_json() -> object:
    return object()


def no_number() -> float:
    return float("nan")


def environment() -> dict[str, str]:
    return dict(os.environ)


def spy(secret: str) -> list[str]:
    """Processes in whose environment the secret can be read."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and secret.encode() in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def signal_parents() -> list[int]:
    """Processes outside that it may signal."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) > 3:
            try:
                os.kill(int(entry.name), 0)
                found.append(int(entry.name))
            except OSError:
                continue
    return found


def connect(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return "connected"
    except OSError as error:
        return type(error).__name__


def rights() -> dict[str, object]:
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"effective": int(told["CapEff"], 16), "no_new_privileges": int(told["NoNewPrivs"]), "uid": os.getuid()}


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run_echo(text: str) -> str:
    return run("/bin/echo", text)
