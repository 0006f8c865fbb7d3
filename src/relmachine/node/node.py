"""The composition root: every part of one running node, opened in order and closed in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relmachine.engine.turn import Engine
from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateMeter
from relmachine.gates.constraint_programs import programs_digest
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.grants import Grants, parse_grants
from relmachine.gates.laws import AdmissionGate
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.dispatcher import Dispatcher
from relmachine.hosts.local import LocalHost
from relmachine.hosts.relay import Relay
from relmachine.hosts.round import Rounds, Stages
from relmachine.hosts.threads import HotThreads
from relmachine.kernel.lifecycle import NodePhase, move_node
from relmachine.kernel.verdicts import Refused
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.node.context import Context
from relmachine.node.http import build_app
from relmachine.node.interface import Interface
from relmachine.node.settings import Settings
from relmachine.node.supervision import keep_running
from relmachine.node.web import serving
from relmachine.observe.port import Accepted
from relmachine.store.port import Store
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.nats import NatsStream
from relmachine.stream.server import NatsServer


@dataclass(slots=True)
class _Running:
    """The parts of a node that is up."""

    store: SqliteStore
    stream: NatsStream
    server: NatsServer | None
    rounds: Rounds
    host: LocalHost
    relay: Relay
    dispatcher: Dispatcher
    interface: Interface
    vital: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    http_url: str | None = None


class Node:
    """One node of one machine. Use `Node.running`; implements `observe.port.NodeView`."""

    def __init__(self, machine: Machine, settings: Settings, plan: Plan, parts: _Running) -> None:
        self.machine, self.settings, self._plan, self._parts = machine, settings, plan, parts
        self._phase = NodePhase.BOOTING

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, machine: Machine, settings: Settings | None = None) -> AsyncGenerator[Node]:
        """A node that works until the block ends.

        Errors: `machine_invalid` when a law of the machine fails; `store_machine_mismatch`, `store_schema_future`,
        `topology_mismatch` when the folder or the stream belong to something else; `unreachable` when a part or a
        port is not to be had.
        """
        settings = settings or Settings()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        grants = None if settings.grants is None else _read_grants(settings.grants)
        policy = RegoPolicy(machine.name, grants, RateMeter(time.monotonic, settings.steps_per_minute_max))
        plan = machine.plan({"policy": policy.revision, "constraints": programs_digest()})
        async with contextlib.AsyncExitStack() as stack:
            parts = await _open(stack, plan, policy, RegoPolicy(machine.name, grants), settings)
            node = cls(machine, settings, plan, parts)
            parts.relay.start()
            parts.vital.append(parts.dispatcher.start())
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
        working = self._phase is NodePhase.READY and self._parts.dispatcher.unfinished
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
        """Processes of this node: itself, and the stream server when it started one."""
        server = self._parts.server
        return [os.getpid()] + ([server.pid] if server is not None and server.running else [])

    def addresses(self) -> dict[str, str]:
        """Where people and programs reach it."""
        http = self._parts.http_url
        web = {"status page": f"{http}/", "HTTP API": f"{http}/docs", "MCP": f"{http}/mcp/"} if http else {}
        return {**web, "NATS": self._parts.stream.url, "data folder": str(self.settings.data_dir.resolve())}

    def status(self) -> Mapping[str, object]:
        """See `NodeView.status`."""
        return {
            "phase": str(self.phase),
            "machine": self._plan.machine,
            "version": self._plan.version,
            "laws_digest": self._plan.laws_digest,
            "plan_digest": self._plan.digest,
            "store_id": self.store.store_id,
            "hints_unfinished": self._parts.dispatcher.unfinished,
            "threads_waiting": self._parts.host.waiting,
            "turns_committed": self._parts.rounds.turns_committed,
            "turns_stale": self._parts.rounds.turns_stale,
            "threads_parked": self._parts.host.parked,
            "turns_failed": self._parts.dispatcher.failures,
            "feed_rows_waiting": self._parts.relay.waiting,
            "addresses": self.addresses(),
        }

    async def submit(self, thread: str, bodies: Sequence[bytes]) -> Sequence[Accepted | Refused]:
        """See `NodeView.submit`."""
        return await self._parts.interface.submit(thread, bodies)

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
            store_path=self._parts.store.path.resolve(),
            nats_url=self._parts.stream.url,
            http_url=self._parts.http_url,
            pid=os.getpid() if running else None,
            nats_pid=server.pid if running and server is not None and server.running else None,
        )


async def _open(
    stack: contextlib.AsyncExitStack, plan: Plan, policy: RegoPolicy, early: RegoPolicy, settings: Settings
) -> _Running:
    """Open every part; `stack` closes them last first. The interface asks `early`, which counts no rates: each step
    counts once, in its turn.
    """
    limits = settings.limits
    vital: list[asyncio.Task[None]] = []
    server: NatsServer | None = None
    if settings.nats_url is None:
        server = NatsServer(settings.data_dir / "nats", sync=settings.stream_sync)
        await server.start()
        stack.push_async_callback(server.stop)
        vital.append(asyncio.create_task(keep_running(server), name="nats-server"))
        stack.push_async_callback(_cancel, vital[0])
    store = SqliteStore.open(settings.data_dir / "store.db", plan, limits)
    stack.push_async_callback(store.close)
    url = settings.nats_url if server is None else server.url
    assert url is not None, "a node has a stream of its own or the address of one"
    stream = await NatsStream.open(url, plan, store.store_id, limits, settings.stream_bounds)
    stack.push_async_callback(stream.close)
    shape = ShapeGate(plan, limits)
    constraints = ConstraintChecker(plan, limits)
    engine = Engine(plan, AdmissionGate(plan), limits)
    relay = Relay(store, stream.feeds)
    stack.push_async_callback(relay.close)
    hot = HotThreads(plan, store, limits.hot_threads_max)
    stages = Stages(plan, limits, hot, stream.reader, shape, store, policy, engine, constraints, relay)
    rounds = Rounds(stages)
    host = LocalHost(rounds, limits)
    stack.push_async_callback(host.close)
    dispatcher = Dispatcher(stream.hints, host, limits)
    stack.push_async_callback(dispatcher.close)
    interface = Interface(plan, shape, early, store, stream, limits)
    return _Running(store, stream, server, rounds, host, relay, dispatcher, interface, vital)


def _read_grants(path: Path) -> Grants:
    """The grants in the file. Errors: `not_found`, `grants_invalid`."""
    try:
        return parse_grants(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RelmError(Code.NOT_FOUND, f"name a file of grants that can be read: {error}", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise RelmError(Code.GRANTS_INVALID, "write the grants in UTF-8", path=str(path)) from error


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
