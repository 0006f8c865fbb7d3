"""Threads whose runs are carried out for real: whole rounds, the attempts of a node, and a stream in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import orjson

from relmachine.engine.models import Models
from relmachine.engine.runs.carrier import RunCarrier
from relmachine.engine.tools.process import ToolProcesses
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.port import PolicyGate
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.relay import Relay
from relmachine.hosts.round import Rounds
from relmachine.hosts.run_attempt import Attempts
from relmachine.hosts.run_views import RunViews
from relmachine.hosts.telemetry import Telemetry
from relmachine.hosts.values import HotValues
from relmachine.kernel.answer import Answer
from relmachine.kernel.detached import OpenRun
from relmachine.kernel.lane import Asked
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import dump_state, initial_state
from relmachine.machine.plan import Plan
from relmachine.store.port import Store
from relmachine.store.runs import Runs
from relmachine.stream.port import Outgoing, Published
from tests.unit.forks.workshop import MemoryStream, NoFeeds, Workshop


class Publishes:
    """The `Publisher` port over a stream in memory."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream

    async def publish(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        return [Published(self._stream.publish(one.thread, one.step_token, one.body), False) for one in steps]

    async def publish_together(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        return await self.publish(steps)


class Living(Workshop):
    """A workshop with a runner that works when it is told to, and whose proposed steps leave."""

    def __init__(self, plan: Plan, store: Store, telemetry: Telemetry | None = None) -> None:
        self.plan, self.telemetry = plan, telemetry
        self.carrier = RunCarrier(plan, Models(plan.models), ToolProcesses(), Limits())
        super().__init__(plan, store)
        views = RunViews(plan, HotValues(plan, store, 100))
        publisher = Publishes(self.stream)
        self.attempts = Attempts(plan, self.limits, store, self.stream, publisher, views, self.carrier)
        self._left: set[tuple[str, int]] = set()

    def node(self, store: Store | None = None) -> Rounds:
        plan, limits = self.plan, self.limits
        gates = Gates(
            ShapeGate(plan, limits),
            cast(PolicyGate, self.policy),
            AdmissionGate(plan),
            None,
            ConstraintChecker(plan, limits),
        )
        relay, bindings = cast(Relay, NoFeeds()), self.carrier.bindings
        stages = assemble(
            plan,
            limits,
            store or self.store,
            self.stream,
            gates,
            relay,
            bindings=bindings,
            telemetry=self.telemetry,
        )
        return Rounds(stages)

    async def answers(self) -> list[tuple[OpenRun, Answer]]:
        """What the open runs come to now; nothing is published yet."""
        found: list[tuple[OpenRun, Answer]] = []
        for run in await Runs(self.store.deciding).open(1000):
            attempt = await self.attempts.prepare(run)
            if attempt is not None:
                found.append((run, await attempt.carry_out()))
        return found

    async def publish(self, answers: Sequence[tuple[OpenRun, Answer]]) -> None:
        """Put them on the stream."""
        for run, answer in answers:
            await self.attempts.publish(run, answer)

    async def live(self) -> None:
        """Decide, carry out and let proposed steps leave until nothing more happens."""
        while True:
            end = len(self.stream.messages)
            await self.settle()
            await self._leave()
            await self.publish(await self.answers())
            if len(self.stream.messages) == end:
                return

    async def _leave(self) -> None:
        rows = await self.store.select("SELECT thread, seq, body FROM outbox WHERE kind = 'step' ORDER BY seq")
        for thread, seq, body in cast("tuple[tuple[str, int, str], ...]", rows.rows):
            if (thread, seq) not in self._left:
                self._left.add((thread, seq))
                for envelope in cast("list[dict[str, object]]", orjson.loads(body)):
                    self.stream.publish(thread, cast(str, envelope["type"]), orjson.dumps(envelope))

    async def stop(self, thread: str, record: str) -> None:
        """Cancel or close the thread on the control lane."""
        empty = initial_state(self.plan, thread)
        key = f'["test","{record} {thread}"]'
        asked = Asked(
            thread, 900 + len(key), record, key, '{"reason":"enough"}', "{}", "", thread, empty.head, dump_state(empty)
        )
        (effect,) = await self.store.control([asked])
        assert effect.outcome == "applied"
