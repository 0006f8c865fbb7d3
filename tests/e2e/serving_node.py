"""A whole node on its own loop in a thread, for tests that talk to it from outside as any client does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from relmachine.machine import Machine
from relmachine.machine.declaration import Member
from relmachine.machine.plan import FieldType
from relmachine.node import Node, Settings

T = TypeVar("T")
SECONDS_MAX = 30.0


def small_machine(version: str = "1") -> Machine:
    """Claims that rest on each other, a judgement, a contest, a veto, an exact `once`, a sum and a free text."""
    machine = Machine("small", version=version)
    received = machine.claim("received")
    checked = machine.claim("checked", requires=[received])
    noted = machine.claim("noted", requires=[received])
    decided = machine.claim("decided", requires=[checked])
    registered = machine.claim("registered")
    withdrawn = machine.claim("withdrawn")
    machine.field("officers", "string", reducer="union")
    machine.field("decided_by", "string", reducer="once")
    machine.field("fee", "integer", reducer="sum")
    machine.field("last_at", "datetime", reducer="max")
    machine.step("receive", kind="process", asserts=[received], writes={"officers": "officer", "last_at": "at"})
    machine.step("check", kind="process", asserts=[checked], writes={"officers": "officer", "fee": "fee"})
    machine.step("note", kind="derivation", asserts=[noted], writes={"officers": "officer"})
    machine.step("recheck", kind="process", contests=[checked])
    machine.step("decide", kind="process", asserts=[decided], writes={"decided_by": "officer"})
    number = Member("number", FieldType.STRING, required=True)
    machine.step("register", kind="process", asserts=[registered], payload=[number])
    machine.step("withdraw", kind="process", asserts=[withdrawn])
    machine.step("forbid", kind="process", vetoes=[withdrawn])
    return machine


class ServingNode:
    """A running node with an HTTP client, and a way to run coroutines where the node lives."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop, client: httpx.Client) -> None:
        self.node, self.loop, self.client = node, loop, client

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of `coroutine`, run on the node's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS_MAX)


@contextlib.contextmanager
def serving_node(
    machine: Machine, folder: Path, machine_path: str | None = None, **given: Any
) -> Iterator[ServingNode]:
    """Start a node with its data in `folder`; stop it when the block ends."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[ServingNode] = []
    failed: list[BaseException] = []

    async def life() -> None:
        settings = Settings(data_dir=folder, http_port=0, **given)
        async with Node.running(machine, settings, machine_path) as node:
            url = node.context(running=True).http_url
            assert url is not None
            with httpx.Client(base_url=url, timeout=SECONDS_MAX) as client:
                found.append(ServingNode(node, asyncio.get_running_loop(), client))
                ready.set()
                await stop.wait()

    def live() -> None:
        try:
            asyncio.run(life())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=live, name="node")
    thread.start()
    assert ready.wait(SECONDS_MAX)
    try:
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        if found:
            found[0].loop.call_soon_threadsafe(stop.set)
        thread.join(SECONDS_MAX)
    if failed:
        raise failed[0]
