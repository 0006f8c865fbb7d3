"""Replaying a thread: decided again from what was published, by the same code, without asking or telling anybody.

The stages of a round run on a store of their own, with the messages of an export in place of the stream. Gate 2 is not
asked again, and neither are clocks; models are asked only when a run is simulated anew. What comes out is compared with
what was recorded: every event, every history, every section, every run.
"""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from relmachine.engine.runs.port import Mode
from relmachine.errors import Code, RelmError
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.assembly import Gates
from relmachine.kernel.limits import Limits
from relmachine.replay.comparing import compare
from relmachine.replay.deciding import Deciding
from relmachine.replay.difference import Replay, Shown
from relmachine.replay.reading import ExportedStream
from relmachine.replay.runs import RunsAgain
from relmachine.replay.silent import Permitted
from relmachine.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from relmachine.engine.models import NodeModels
    from relmachine.engine.runs.port import Carrier
    from relmachine.machine import Machine
    from relmachine.machine.plan import Plan
    from relmachine.replay.exported import ExportedStop, ThreadExport


class Replayer:
    """Replays exported threads of one machine, in tests of your own or by `relm replay-thread`.

    ```python
    replay = await Replayer(machine).replay(ThreadExport.load(Path("thread.json")))
    assert replay.identical, replay.differences
    ```
    """

    def __init__(
        self,
        machine: Machine,
        *,
        limits: Limits | None = None,
        models: NodeModels | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        """`limits` are those of the node. `models` is its word on models, which wins over the author's bindings, for
        runs that are simulated anew; `carrier` carries runs out instead of the one that a node has, and stays open.

        Errors: `machine_invalid` when a law of the machine fails.
        """
        self._plan = machine.plan()
        self._limits, self._models, self._carrier = limits or Limits(), models, carrier

    async def replay(self, export: ThreadExport, mode: Mode | str = Mode.PLAYBACK) -> Replay:
        """Decide the export again. `playback` carries runs out on what they saw; `resimulate` asks models and tools
        again: what tools do outside, they do again.

        Errors: `machine_mismatch` when the export is of another machine, or of other laws; `log_invalid` for an export
        with an answer that is none.
        """
        self._check(export)
        mode = Mode(mode)
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relm-replay-")))
            store = SqliteStore.open(folder / "store.db", self._plan, self._limits)
            stack.push_async_callback(store.close)
            stream = ExportedStream(export.messages)
            deciding = Deciding(self._plan, self._limits, store, stream, self._gates(stack))
            carrier = self._carrier or await self._own_carrier(stack)
            again = RunsAgain(self._plan, self._limits, store, carrier, export, mode)
            shown = [*await _through(deciding, again, export), *await compare(store, export)]
        differences = [one.difference for one in sorted(shown, key=lambda one: one.at)]
        return Replay(mode, len(export.events), again.runs, again.decisions, differences)

    def _check(self, export: ThreadExport) -> None:
        found, expected = (export.machine, export.laws_digest), (self._plan.machine, self._plan.laws_digest)
        if found != expected:
            sentence = "replay it with the machine that it was exported from: this one has another name, or other laws"
            raise RelmError(Code.MACHINE_MISMATCH, sentence, expected=expected, found=found)

    def _gates(self, stack: AsyncExitStack) -> Gates:
        plan, limits = self._plan, self._limits
        own = OwnLaws(plan, limits) if plan.own_laws else None
        if own is not None:
            stack.callback(own.close)
        return Gates(ShapeGate(plan, limits), Permitted(), AdmissionGate(plan), own, ConstraintChecker(plan, limits))

    async def _own_carrier(self, stack: AsyncExitStack) -> Carrier | None:
        """What a node carries runs out with; None for a machine without any, which need not import it."""
        if not _runs(self._plan):
            return None
        from relmachine.engine.models import Models
        from relmachine.engine.runs.carrier import RunCarrier
        from relmachine.engine.tools.process import ToolProcesses

        carrier = RunCarrier(self._plan, Models(self._plan.models, self._models), ToolProcesses(), self._limits)
        stack.push_async_callback(carrier.close)
        return carrier


async def _through(deciding: Deciding, again: RunsAgain, export: ThreadExport) -> list[Shown]:
    """All messages in the order of the stream, with a halt wherever a run began or a thread was stopped."""
    stops: list[tuple[int, str, ExportedStop | None]] = [(*stop, None) for stop in again.stops()]
    stops += [(deciding.stream.pair_end(stop.after), stop.thread, stop) for stop in export.stops]
    shown: list[Shown] = []
    for until, thread, stop in sorted(stops, key=lambda one: (one[0], one[2] is not None)):
        shown += await deciding.until(until)
        if stop is None:
            shown += await again.compare(thread, until)
        else:
            await deciding.stop(stop)
    return shown + await deciding.until(deciding.stream.last)


def _runs(plan: Plan) -> bool:
    return any(step.detached for step in plan.steps)
