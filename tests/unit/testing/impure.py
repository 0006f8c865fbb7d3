"""Closures that look at more than their arguments, each in a way of its own, and some that only seem to."""

from __future__ import annotations

import datetime as clock
import functools
import json
import math
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from os import environ, urandom
from pathlib import Path
from random import Random, choice
from time import monotonic, time_ns
from uuid import uuid4

from pydantic import BaseModel

from relmachine import Machine, Section, View


class Given(BaseModel):
    text: str = ""
    at: datetime = datetime(2024, 1, 2, tzinfo=UTC)


machine = Machine("impure")
found = machine.field("found", str, reducer="log")
machine.step("noted", kind="process", writes={found: "text"})

IMPURE: dict[str, Callable[[Given], object]] = {
    "time.time": lambda step: time.time(),
    "time.time_ns": lambda step: time_ns(),
    "time.monotonic": lambda step, now=monotonic: now(),
    "time.perf_counter": lambda step: getattr(sys.modules["time"], "perf_" + "counter")(),
    "time.localtime": lambda step: time.localtime(),
    "time.sleep": lambda step: time.sleep(0),
    "datetime.now": lambda step: datetime.now(UTC),
    "datetime.utcnow": lambda step: clock.datetime.utcnow(),  # pyright: ignore[reportDeprecated]
    "datetime.today": lambda step: type(step.at).today(),
    "date.today": lambda step: date.today(),
    "random.random": lambda step: random.random(),
    "random.getrandbits": lambda step: choice([1, 2, 3]),
    "random.Random() without a seed": lambda step: Random().random(),
    "os.urandom": lambda step: urandom(4),
    "os.getrandom": lambda step: os.getrandom(4),
    "uuid.uuid4": lambda step: uuid4(),
    "uuid.uuid1": lambda step: uuid.uuid1(),
    "os.environ": lambda step: environ.get("HOME"),
    "os.getpid": lambda step: os.getpid(),
    "os.stat": lambda step: Path("/tmp").exists(),
    "open": lambda step: Path("/etc/hostname").read_text(),
    "os.listdir": lambda step: os.listdir("/tmp"),  # noqa: PTH208
    "socket.__new__": lambda step: socket.socket(),
    "socket.getaddrinfo": lambda step: socket.getaddrinfo("localhost", 80),
    "_thread.start_new_thread": lambda step: threading.Thread(target=print).start(),
    "os.fork": lambda step: os.fork(),
}


def by_secrets(step: Given) -> object:
    return secrets.token_hex()


def by_subprocess(step: Given) -> object:
    return subprocess.run(["true"], check=True)


def by_writing(step: Given) -> object:
    with Path("/tmp/never").open("w") as file:
        return file.write(step.text)


def swallowing(step: Given) -> object:
    try:
        return time.time()
    except Exception:
        return 0.0


def disguising(step: Given) -> object:
    try:
        return time.time()
    except Exception as error:
        raise ValueError("something else") from error


def deep(step: Given) -> object:
    @functools.lru_cache
    def inner() -> list[int]:
        return sorted(range(2), key=lambda _: uuid.uuid4())

    return inner()


def pure(step: Given) -> object:
    import decimal  # an import reads files

    seeded = Random(step.text)
    digits = decimal.Decimal(step.text or "1").sqrt()
    later = step.at + clock.timedelta(days=1)
    parsed = datetime.fromisoformat("2024-01-02T03:04:05+00:00"), datetime.strptime("2024", "%Y")
    name = uuid.uuid5(uuid.NAMESPACE_URL, step.text)
    return seeded.random(), digits, later.isoformat(), parsed, name, json.dumps(math.pi), Path("a", "b").name


@machine.process(writes=[found])
def by_set_order(step: Given, view: View) -> Section:
    return Section({"found": ",".join({"alpha", "beta", "gamma", "delta", step.text})})


@machine.process(writes=[found])
def by_address(step: Given, view: View) -> Section:
    return Section({"found": repr(object())})


KEPT: list[str] = []


@machine.process(writes=[found])
def by_memory(step: Given, view: View) -> Section:
    KEPT.append(step.text)
    return Section({"found": str(len(KEPT))})


@machine.process(reads=[found], writes=[found])
def sorted_out(step: Given, view: View) -> Section:
    return Section({"found": ",".join(sorted({"alpha", "beta", step.text, str(view.get("found"))}))})


@machine.process(writes=[found])
def failing(step: Given, view: View) -> Section:
    raise ValueError(f"no {step.text}")


@machine.process(writes=[found])
def by_clock(step: Given, view: View) -> Section:
    return Section({"found": str(time.time())})


@machine.inquiry(fallback_closure=by_clock)
def asks(step: Given, view: View) -> str:
    return step.text
