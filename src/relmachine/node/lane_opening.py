"""A node's control lane: in a thread of the node, or in a process of its own beside one that only asks and hears."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.lane import ControlLane
from relmachine.node.http import build_control_app
from relmachine.node.lane import LaneThread, lane_parts
from relmachine.node.lane_process import LaneProcess
from relmachine.node.lane_told import LaneTold
from relmachine.node.web import serving
from relmachine.store.declaration import dump_plan
from relmachine.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from relmachine.gates.grants import Grants
    from relmachine.gates.port import PolicyGate
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.node.settings import Settings
    from relmachine.store.port import LaneStore
    from relmachine.store.rqlite.store import RqliteStore
    from relmachine.stream.bounds import StreamBounds
    from relmachine.stream.nats import NatsStream

Asking = Callable[[contextlib.AsyncExitStack], Awaitable["PolicyGate"]]
"""Opens a policy gate; the stack closes it."""


@dataclass(frozen=True, slots=True)
class LaneParts:
    """`thread` asks and hears for the node; it takes records as well where there is no `process` that does."""

    thread: LaneThread
    process: LaneProcess | None

    @property
    def url(self) -> str | None:
        """Where the lane is served by itself."""
        return self.thread.url if self.process is None else self.process.url

    @property
    def vital(self) -> list[LaneThread | LaneProcess]:
        """Whose end is the node's."""
        return [self.thread] if self.process is None else [self.thread, self.process]


async def open_lane(
    stack: contextlib.AsyncExitStack,
    plan: Plan,
    settings: Settings,
    stream: NatsStream,
    store: SqliteStore | RqliteStore,
    grants: Grants | None,
    limits: Limits,
    bounds: StreamBounds,
    asking: Asking,
) -> LaneParts:
    """Open it; `stack` closes it. Errors: `unreachable`, `topology_mismatch`, `stream_unfit`, `policy_mismatch`."""
    apart = settings.control_lane == "process"

    @contextlib.asynccontextmanager
    async def own_store() -> AsyncGenerator[LaneStore]:
        if isinstance(store, SqliteStore):
            with contextlib.closing(store.lane()) as lane:
                yield lane
            return
        from relmachine.store.rqlite.store import RqliteStore

        opened = await RqliteStore.open(settings.store_urls, plan, settings.limits, settings.rqlite_bounds)
        try:
            yield opened
        finally:
            await opened.close()

    @contextlib.asynccontextmanager
    async def own_policy() -> AsyncGenerator[PolicyGate]:
        async with contextlib.AsyncExitStack() as inner:
            yield await asking(inner)

    def opening() -> contextlib.AbstractAsyncContextManager[ControlLane]:
        reclaim = not settings.store_urls
        where = (stream.address, stream.topology, bounds)
        return lane_parts(plan, limits, *where, own_store, own_policy, reclaim=reclaim, takes=not apart)

    def served(lane: ControlLane) -> contextlib.AbstractAsyncContextManager[str]:
        return serving(build_control_app(lane, plan, limits), settings.http_host, settings.control_port)

    thread = await LaneThread.start(opening, served if settings.http and not apart else None, takes=not apart)
    stack.push_async_callback(thread.close)
    if not apart:
        return LaneParts(thread, None)
    process = await LaneProcess.start(_told(plan, settings, stream, store, grants, limits, bounds))
    stack.push_async_callback(process.close)
    return LaneParts(thread, process)


def _told(
    plan: Plan,
    settings: Settings,
    stream: NatsStream,
    store: SqliteStore | RqliteStore,
    grants: Grants | None,
    limits: Limits,
    bounds: StreamBounds,
) -> LaneTold:
    return LaneTold(
        plan=dump_plan(plan),
        limits=limits,
        stream=stream.address,
        stream_bounds=bounds,
        store_id=store.store_id,
        store_path=store.path.resolve() if isinstance(store, SqliteStore) else None,
        store_urls=settings.store_urls,
        rqlite_bounds=settings.rqlite_bounds,
        grants=grants,
        opa_url=settings.opa_url,
        opa_bounds=settings.opa_bounds,
        reclaim=not settings.store_urls,
        host=settings.http_host,
        port=settings.control_port,
    )
