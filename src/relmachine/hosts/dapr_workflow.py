"""Durable runs as activities of Dapr workflows: the sidecars choose the node, and choose again when it dies.

A workflow has one activity, which carries the run out. What brings it to another node is the activity's reminder, which
the scheduler keeps on disk with all that it needs. The workflow's own state is in the memory of one sidecar, and may be
lost at any time; then nothing is asked of it any more. The truth is the open run in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from relmachine.algebra.identity import digest
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_client import open_channel
from relmachine.hosts.dapr_tokens import NO_TOKENS, DaprTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from relmachine.hosts.run_places import Carry
    from relmachine.kernel.detached import OpenRun

_log = structlog.get_logger(__name__)

WORKFLOW = "relm_run"
ACTIVITY = "relm_carry_out"

CLOSE_SECONDS_MAX = 5.0
"""How long closing waits for the worker; its threads end with the process."""


class SidecarWorkflows:
    """Implements `RunPlaces` by the sidecar whose gRPC API is at `sidecar` (host:port) for runs that are `durable`;
    others stay here, and all do while the sidecar, or the scheduler behind it, is away.
    """

    def __init__(
        self, sidecar: str, durable: Callable[[OpenRun], bool], bounds: DaprBounds, tokens: DaprTokens = NO_TOKENS
    ) -> None:
        from dapr.proto.runtime.v1.dapr_pb2_grpc import DaprStub

        self._durable, self._bounds, self._shown = durable, bounds, tokens.shown()
        self._channel = open_channel(sidecar, bounds)
        self._sidecar: Any = DaprStub(self._channel)
        self._worker = _worker(sidecar, tokens)
        self._starting: asyncio.Future[None] | None = None

    async def start(self, carry: Carry) -> None:
        """See `RunPlaces.start`. Waits for nobody: the worker comes as soon as the sidecar is there."""
        home = asyncio.get_running_loop()

        def run(context: Any, run: object) -> Generator[Any, Any, None]:
            yield context.call_activity(ACTIVITY, input=run)

        async def carry_out(_: Any, run: list[Any]) -> None:
            thread, request = run
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_carried(carry, (thread, request)), home))

        self._worker.register_workflow(run, name=WORKFLOW)
        self._worker.register_activity(carry_out, name=ACTIVITY)
        self._starting = _in_thread(self._worker.start)

    async def place(self, run: OpenRun) -> bool:
        """See `RunPlaces.place`: a workflow is scheduled, within `call_seconds_max`."""
        import grpc
        from dapr.proto.runtime.v1.workflow_pb2 import StartWorkflowRequest

        if not self._durable(run) or self._starting is None or not self._starting.done():
            return False
        thread, sequence = run.candidate.thread, run.candidate.sequence
        request = StartWorkflowRequest(
            instance_id=digest("run", thread, str(sequence), str(run.attempt)),
            workflow_component="dapr",
            workflow_name=WORKFLOW,
            input=orjson.dumps((thread, sequence)),
        )
        try:
            await self._sidecar.StartWorkflowBeta1(request, timeout=self._bounds.call_seconds_max, metadata=self._shown)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                return True
            reason = f"{error.code().name}: {str(error.details())[:200]}"
            _log.warning("no workflow, the run is carried out here", thread=thread, request=sequence, reason=reason)
            return False
        return True

    async def close(self) -> None:
        """See `RunPlaces.close`. The sidecar gives what is in hand to another node: no activity is reported to end."""
        if self._starting is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await self._ended(self._starting)
        await self._channel.close()

    async def _ended(self, starting: asyncio.Future[None]) -> None:
        """A worker that is asked to end before it has begun has not heard it: it is asked until it did."""
        await _in_thread(self._worker.shutdown)
        while not starting.done():
            await asyncio.wait([starting], timeout=self._bounds.look_seconds)
            await _in_thread(self._worker.shutdown)


def _in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    """Run `work` in a thread that holds nothing up: the SDK's worker may wait half a minute for a silent sidecar."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: Exception | None) -> None:
        if not done.done():
            done.set_result(None)
        if error is not None:
            _log.info("the worker of workflows has not begun", error=repr(error))

    def run() -> None:
        found: Exception | None = None
        try:
            work()
        except Exception as error:  # whatever it was, runs stay here
            found = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=run, name="workflows", daemon=True).start()
    return done


async def _carried(carry: Carry, key: tuple[str, int]) -> None:
    await carry(key)


def _worker(sidecar: str, tokens: DaprTokens) -> Any:
    """The SDK's worker. It takes its token from the SDK's settings alone, and tells its steps unless asked not to."""
    from dapr.conf import settings
    from dapr.ext.workflow import WorkflowRuntime
    from dapr.ext.workflow.logger import LoggerOptions

    settings.DAPR_API_TOKEN = tokens.api  # pyright: ignore[reportAttributeAccessIssue]
    host, _, port = sidecar.rpartition(":")
    return WorkflowRuntime(host, port, LoggerOptions(log_level=logging.WARNING))  # pyright: ignore[reportArgumentType]
