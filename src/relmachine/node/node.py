"""One running node: its phase, its addresses, what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from relmachine.kernel.lane import Effect
from relmachine.kernel.lifecycle import move_node
from relmachine.kernel.transitions import NodePhase
from relmachine.kernel.verdicts import Refused
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.node.context import Context
from relmachine.node.http import build_app
from relmachine.node.parts import Parts, open_parts
from relmachine.node.settings import Settings
from relmachine.node.store_opening import STORE_FILE
from relmachine.node.web import serving
from relmachine.observe.lag import LISTED, InHand, Lag, LagView
from relmachine.observe.port import Accepted
from relmachine.store.port import Store
from relmachine.stream.nats import NatsStream


class Node:
    """One node of one machine. Use `Node.running`; implements `observe.port.NodeView`."""

    def __init__(self, machine: Machine, settings: Settings, parts: Parts, machine_path: str | None = None) -> None:
        self.machine, self.settings, self._plan, self._parts = machine, settings, parts.plan, parts
        self._machine_path = machine_path
        self._phase = NodePhase.BOOTING
        self._lag = LagView(parts.store, parts.stream.lag, settings.limits)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, machine: Machine, settings: Settings | None = None, machine_path: str | None = None
    ) -> AsyncGenerator[Node]:
        """A node that works until the block ends. `machine_path` is what the machine was loaded from, for commands that
        load it again.

        Errors: `machine_invalid` when a law of the machine fails; `store_machine_mismatch`, `store_schema_future`,
        `topology_mismatch` when the folder or the stream belong to something else; `unreachable` when a part or a
        port is not to be had.
        """
        settings = settings or Settings()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        async with contextlib.AsyncExitStack() as stack:
            parts = await open_parts(stack, machine, settings)
            node = cls(machine, settings, parts, machine_path)
            parts.turns.relay.start()
            if parts.turns.runner is not None:
                await parts.turns.runner.start()
            parts.telemetry.start()
            parts.vital.append(parts.turns.dispatcher.start())
            node._move(NodePhase.READY)
            if settings.http:
                app = build_app(node, settings.limits)
                parts.http_url = await stack.enter_async_context(serving(app, settings.http_host, settings.http_port))
            node.context(running=True).save(settings.data_dir)
            try:
                yield node
            finally:
                node._move(NodePhase.CLOSING)
                node.context(running=False).save(settings.data_dir)

    async def failed(self) -> None:
        """Return never while the node can work; raise what ended a part of it for good.

        Errors: `unreachable` when the stream is gone and does not come back.
        """
        done, _ = await asyncio.wait(self._parts.vital, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    @property
    def phase(self) -> NodePhase:
        """Where the node is in its life; WORKING while hints are unfinished."""
        working = self._phase is NodePhase.READY and self._parts.turns.dispatcher.unfinished
        return NodePhase.WORKING if working else self._phase

    def _move(self, to: NodePhase) -> None:
        self._phase = move_node(self._phase, to)

    @property
    def plan(self) -> Plan:
        """The machine it runs, compiled."""
        return self._plan

    @property
    def store(self) -> Store:
        """Where its threads are."""
        return self._parts.store

    @property
    def stream(self) -> NatsStream:
        """Where its steps come from."""
        return self._parts.stream

    def pids(self) -> list[int]:
        """Processes of this node: itself, and those of the stream server and the control lane where it started them."""
        server, lane = self._parts.server, self._parts.lane.process
        others = [server.pid if server is not None and server.running else None, None if lane is None else lane.pid]
        return [os.getpid(), *(pid for pid in others if pid is not None)]

    def addresses(self) -> dict[str, str]:
        """Where people and programs reach it."""
        http = self._parts.http_url
        web = {"status page": f"{http}/", "HTTP API": f"{http}/docs", "MCP": f"{http}/mcp/"} if http else {}
        if self._parts.lane.url:
            web["control"] = f"{self._parts.lane.url}/threads/THREAD/control"
        return {**web, "NATS": self._parts.stream.url, "data folder": str(self.settings.data_dir.resolve())}

    def status(self) -> Mapping[str, object]:
        """See `NodeView.status`."""
        turns = self._parts.turns
        return {
            "phase": str(self.phase),
            "machine": self._plan.machine,
            "version": self._plan.version,
            "laws_digest": self._plan.laws_digest,
            "plan_digest": self._plan.digest,
            "store_id": self.store.store_id,
            "hints_unfinished": turns.dispatcher.unfinished,
            "threads_waiting": turns.local.waiting,
            "turns_committed": turns.rounds.committing.committed,
            "turns_stale": turns.rounds.committing.stale,
            "turns_read_at_leader": turns.rounds.reading.at_leader,
            "turns_read_nothing": turns.rounds.reading.in_vain,
            "threads_paused": len(turns.pauses),
            "threads_parked": turns.local.parked,
            "turns_failed": turns.dispatcher.failures,
            "feed_rows_waiting": turns.relay.waiting,
            "stream": self._parts.stream.status(),
            "undecided_steps": self._parts.interface.door.undecided,
            "publishers_deferred": self._parts.interface.door.deferred,
            "telemetry_sent": self._parts.telemetry.sent,
            "telemetry_shed": self._parts.telemetry.shed,
            "gates": self._parts.times.as_json(),
            "addresses": self.addresses(),
        }

    async def lag(self, threads: Sequence[str] = (), limit: int = LISTED) -> Lag:
        """See `NodeView.lag`."""
        lanes, most = await self._lag.most(0 if threads else limit)
        return Lag(self._in_hand(), lanes, await self._lag.of(threads) if threads else most)

    def _in_hand(self) -> InHand:
        parts, turns, door = self._parts, self._parts.turns, self._parts.interface.door
        hints = turns.dispatcher.unfinished + parts.stream.hints.waiting
        limit = self.settings.limits.undecided_steps_max
        shed = parts.telemetry.shed
        return InHand(hints, turns.local.waiting, turns.relay.waiting, door.deferred, limit, shed)

    def entering(self) -> AbstractAsyncContextManager[None]:
        """See `NodeView.entering`."""
        return self._parts.interface.door.entering()

    async def submit(self, thread: str, bodies: Sequence[bytes]) -> Sequence[Accepted | Refused]:
        """See `NodeView.submit`."""
        return await self._parts.interface.submit(thread, bodies)

    async def merge(self, target: str, source: str, close: bytes, merge: bytes) -> Accepted | Refused:
        """See `NodeView.merge`."""
        return await self._parts.interface.merge(target, source, close, merge)

    async def control(self, thread: str, body: bytes, seconds: float) -> Effect | Refused | int:
        """See `NodeView.control`."""
        return await self._parts.lane.thread.control(thread, body, seconds)

    async def outcome(self, thread: str, sequence: int, seconds: float) -> Mapping[str, object] | None:
        """See `NodeView.outcome`."""
        return await self._parts.interface.outcome(thread, sequence, seconds)

    def context(self, *, running: bool) -> Context:
        """What commands need to find this node."""
        server = self._parts.server
        return Context(
            machine=self._plan.machine,
            version=self._plan.version,
            laws_digest=self._plan.laws_digest,
            store_path=None if self.settings.store_urls else (self.settings.data_dir / STORE_FILE).resolve(),
            store_urls=self.settings.store_urls,
            nats_url=self._parts.stream.address,
            http_url=self._parts.http_url,
            control_url=self._parts.lane.url,
            machine_path=self._machine_path,
            pid=os.getpid() if running else None,
            nats_pid=server.pid if running and server is not None and server.running else None,
        )
