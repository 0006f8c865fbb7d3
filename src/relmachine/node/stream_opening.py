"""The stream of a node: a connection to it, and its server where the node is told of none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relmachine.node.sharing import stream_bounds
from relmachine.node.supervision import keep_running
from relmachine.stream.nats import NatsStream
from relmachine.stream.server import NatsServer

if TYPE_CHECKING:
    import contextlib

    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.node.settings import Settings


async def open_server(
    stack: contextlib.AsyncExitStack, settings: Settings, vital: list[asyncio.Task[None]]
) -> NatsServer | None:
    """A stream server of the node's own, unless it is told of one."""
    if settings.nats_urls:
        return None
    server = NatsServer(settings.data_dir / "nats", sync=settings.stream_sync)
    await server.start()
    stack.push_async_callback(server.stop)
    task = asyncio.create_task(keep_running(server), name="nats-server")
    vital.append(task)
    stack.push_async_callback(_cancel, task)
    return server


async def open_stream(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    plan: Plan,
    limits: Limits,
    store_id: str,
    server: NatsServer | None,
) -> NatsStream:
    """The stream on `server`, or on the ones that the node is told of."""
    stream = await NatsStream.open(
        ",".join(settings.nats_urls) if server is None else server.url,
        plan,
        store_id,
        limits,
        stream_bounds(settings),
        replicas=settings.replicas,
        reclaim=not settings.store_urls,  # other nodes work on the same hints
    )
    stack.push_async_callback(stream.close)
    return stream


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
