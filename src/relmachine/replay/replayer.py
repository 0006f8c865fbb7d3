"""Replaying a thread: decided again from what was published, by the same code, without asking or telling anybody.

The stages of a round run on a store of their own, with the messages of an export in place of the stream: no relay, no
telemetry, no runner. Gate 2 is not asked again, and neither are clocks; models are asked only when a run is simulated
anew. What comes out is compared with what was recorded: every event, every history, every section, every run.
"""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from relmachine.engine.runs.port import Mode
from relmachine.errors import Code, RelmError
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.round import Rounds
from relmachine.kernel.limits import Limits
from relmachine.replay.difference import Difference, Replay
from relmachine.replay.reading import ExportedStream
from relmachine.replay.runs import RunsAgain
from relmachine.replay.silent import NoRelay, Permitted
from relmachine.store import reading
from relmachine.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from relmachine.engine.runs.port import Carrier
    from relmachine.hosts.relay import Relay
    from relmachine.machine import Machine
    from relmachine.machine.plan import Plan
    from relmachine.replay.exported import ExportedEvent, ThreadExport


class Replayer:
    """Replays exported threads of one machine, in tests of your own or by `relm replay-thread`.

    ```python
    replay = await Replayer(machine).replay(ThreadExport.load(Path("thread.json")))
    assert replay.identical, replay.differences
    ```
    """

    def __init__(self, machine: Machine, *, limits: Limits | None = None, carrier: Carrier | None = None) -> None:
        """`carrier` carries out runs; by default the one that a node has, with the author's bindings of models."""
        self._plan = machine.plan()
        self._limits = limits or Limits()
        self._carrier = carrier

    async def replay(self, export: ThreadExport, mode: Mode = Mode.PLAYBACK) -> Replay:
        """Decide the export again. `playback` carries runs out on what they saw; `resimulate` asks models again.

        Errors: `machine_mismatch` when the export is of another machine, or of other laws.
        """
        self._check(export)
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relm-replay-")))
            store = SqliteStore.open(folder / "store.db", self._plan, self._limits)
            stack.push_async_callback(store.close)
            stream = ExportedStream(export.messages)
            gates, relay = self._gates(stack), cast("Relay", NoRelay())
            rounds = Rounds(assemble(self._plan, self._limits, store, stream, gates, relay, budgets=False))
            carrier = self._carrier or await _carrier(stack, self._plan, self._limits)
            again = RunsAgain(self._plan, self._limits, store, carrier, export, mode)
            differences: list[Difference] = []
            for thread, until in again.stops():
                stream.end = until
                await self._decide(rounds, stream, until)
                differences += await again.compare(thread, until)
            stream.end = max((message.sequence for message in export.messages), default=0)
            await self._decide(rounds, stream, stream.end)
            differences += await _compare(store, export)
        ordered = sorted(differences, key=lambda one: one.sequence)
        return Replay(mode, len(export.events), again.runs, again.decisions, ordered)

    def _check(self, export: ThreadExport) -> None:
        found = (export.machine, export.laws_digest)
        if found != (self._plan.machine, self._plan.laws_digest):
            sentence = "replay it with the machine that it was exported from: this one has another name, or other laws"
            expected = (self._plan.machine, self._plan.laws_digest)
            raise RelmError(Code.MACHINE_MISMATCH, sentence, expected=expected, found=found)

    def _gates(self, stack: AsyncExitStack) -> Gates:
        plan, limits = self._plan, self._limits
        own = OwnLaws(plan, limits) if plan.own_laws else None
        if own is not None:
            stack.callback(own.close)
        return Gates(ShapeGate(plan, limits), Permitted(), AdmissionGate(plan), own, ConstraintChecker(plan, limits))

    async def _decide(self, rounds: Rounds, stream: ExportedStream, until: int) -> None:
        """Take turns until every message up to `until` is decided."""
        wanted = {
            thread: max(found)
            for thread, messages in stream.threads.items()
            if (found := [message.sequence for message in messages if message.sequence <= until])
        }
        reached: dict[str, int] = {}
        while left := [thread for thread, end in wanted.items() if reached.get(thread, 0) < end]:
            cursors = await rounds.run(left, wanted)
            if all(cursors[thread] == reached.get(thread, 0) for thread in left):
                sentence = f"the replay cannot go on at {left[0]!r}: a message is missing in the export"
                raise RelmError(Code.LOG_TRUNCATED, sentence, thread=left[0], cursor=cursors[left[0]])
            reached.update(cursors)


async def _compare(store: SqliteStore, export: ThreadExport) -> list[Difference]:
    """Events and histories one by one, then sections."""
    found: dict[tuple[str, int, int], tuple[str, str]] = {}
    for thread in export.sections:
        for line in await reading.events(store, thread):
            found[thread, line.sequence, line.place] = (line.event, line.history)
    differences: list[Difference] = []
    for event in export.events:
        got = found.pop((event.thread, event.sequence, event.place), ("", ""))
        differences += _event_differences(event, got)
    for (thread, sequence, _), (identity, _) in found.items():
        differences.append(Difference(thread, sequence, "event", "", identity))
    for thread, digest in export.sections.items():
        section = (await reading.section(store, thread)).section_digest
        if section != digest:
            last = max((event.sequence for event in export.events if event.thread == thread), default=0)
            differences.append(Difference(thread, last, "section digest", digest or "", section or ""))
    return differences


def _event_differences(event: ExportedEvent, got: tuple[str, str]) -> list[Difference]:
    pairs = (("event", event.event, got[0]), ("history", event.history, got[1]))
    return [
        Difference(event.thread, event.sequence, what, recorded, found)
        for what, recorded, found in pairs
        if recorded != found
    ]


async def _carrier(stack: AsyncExitStack, plan: Plan, limits: Limits) -> Carrier | None:
    """What a node carries runs out with; None for a machine without any, which need not import it."""
    if not any(step.detached for step in plan.steps):
        return None
    from relmachine.engine.models import Models
    from relmachine.engine.runs.carrier import RunCarrier
    from relmachine.engine.tools.process import ToolProcesses

    carrier = RunCarrier(plan, Models(plan.models), ToolProcesses(), limits)
    stack.push_async_callback(carrier.close)
    return carrier
