"""Goal: a durable run goes to a workflow, or stays here in bounded time. Method: the adapter with a sidecar that
accepts, knows the workflow already, is away or says nothing, and a worker that is ready or not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import orjson
import pytest
from grpc.aio import AioRpcError, Metadata

from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_tokens import DaprTokens
from relmachine.hosts.dapr_workflow import CLOSE_SECONDS_MAX, WORKFLOW, SidecarWorkflows

Sidecar = Callable[..., Awaitable[None]]
BOUNDS = DaprBounds(call_seconds_max=0.2)
NOBODY = "127.0.0.1:1"


def run_of(step: str = "long", attempt: int = 1) -> Any:
    return SimpleNamespace(candidate=SimpleNamespace(thread="t", sequence=5, step=step), attempt=attempt)


async def placing(sidecar: Sidecar | None, ready: bool = True) -> SidecarWorkflows:
    """The adapter with this sidecar, None for none at the address, and its worker in that state."""
    places = SidecarWorkflows(NOBODY, lambda run: run.candidate.step == "long", BOUNDS, DaprTokens("api", "app"))
    if sidecar is not None:
        places._sidecar = SimpleNamespace(StartWorkflowBeta1=sidecar)
    started = asyncio.get_running_loop().create_future()
    if ready:
        started.set_result(None)
    places._starting = started
    return places


def failing(code: grpc.StatusCode) -> Sidecar:
    async def answer(*_: object, **__: object) -> None:
        raise AioRpcError(code, Metadata(), Metadata(), "said the sidecar")

    return answer


def test_a_durable_run_is_scheduled_under_one_name_for_each_attempt() -> None:
    async def test() -> None:
        asked: list[tuple[Any, dict[str, Any]]] = []

        async def accept(request: Any, **given: Any) -> None:
            asked.append((request, given))

        places = await placing(accept)
        for run in (run_of(), run_of(), run_of(attempt=2)):
            assert await places.place(run)
        assert not await places.place(run_of("short"))
        first, again, second = (request for request, _ in asked)
        assert first.instance_id == again.instance_id != second.instance_id
        assert (first.workflow_name, orjson.loads(first.input)) == (WORKFLOW, ["t", 5])
        assert asked[0][1]["metadata"] == (("dapr-api-token", "api"),)
        assert asked[0][1]["timeout"] == BOUNDS.call_seconds_max

    asyncio.run(test())


@pytest.mark.parametrize(
    ("sidecar", "ready", "placed"),
    [
        (failing(grpc.StatusCode.ALREADY_EXISTS), True, True),
        (failing(grpc.StatusCode.UNAVAILABLE), True, False),
        (failing(grpc.StatusCode.DEADLINE_EXCEEDED), True, False),
        (failing(grpc.StatusCode.ALREADY_EXISTS), False, False),
        (None, True, False),
    ],
)
def test_without_a_workflow_engine_it_stays_here(sidecar: Sidecar | None, ready: bool, placed: bool) -> None:
    async def test() -> None:
        places = await placing(sidecar, ready)
        began = time.monotonic()
        assert await places.place(run_of()) is placed
        assert time.monotonic() - began < 5 * BOUNDS.call_seconds_max + 1

    asyncio.run(test())


class Worker:
    """As the SDK's: it begins when it has its sidecar, and hears that it is to end only after it was started."""

    def __init__(self) -> None:
        self.begun, self.ended, self.asked_early = threading.Event(), threading.Event(), threading.Event()

    def register_workflow(self, *_: object, name: str) -> None: ...

    register_activity = register_workflow

    def start(self) -> None:
        self.asked_early.wait(5)  # it is asked to end before it gets here
        self.begun.set()
        assert self.ended.wait(5)
        raise RuntimeError("ended before the sidecar came")

    def shutdown(self) -> None:
        self.asked_early.set()
        if self.begun.is_set():
            self.ended.set()


def test_closing_ends_a_worker_that_has_not_begun() -> None:
    async def test() -> None:
        places = SidecarWorkflows(NOBODY, lambda run: True, BOUNDS)
        places._worker = worker = Worker()

        async def carry(_: object) -> None: ...

        await places.start(carry)
        assert not await places.place(run_of())
        began = time.monotonic()
        await places.close()
        assert worker.ended.is_set()
        assert time.monotonic() - began < CLOSE_SECONDS_MAX

    asyncio.run(test())
