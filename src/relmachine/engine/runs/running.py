"""One run on its way: all that its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relmachine.engine.outputs import bounded, proposed
from relmachine.engine.runs.ended import End, RunEnded
from relmachine.engine.runs.port import ModelSource, RunRequest, ToolRunner
from relmachine.engine.runs.recorder import Recorder
from relmachine.engine.runs.shares import Shares
from relmachine.engine.runs.solver import Solver
from relmachine.engine.runs.spending import RunSpending
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import FollowUp, Reason
from relmachine.kernel.limits import Limits
from relmachine.machine.runs import RunPlan


@dataclass(frozen=True, slots=True)
class Running:
    """`proposals` are follow-ups that were published on the way; they count when the run is done."""

    request: RunRequest
    recorder: Recorder
    models: ModelSource
    processes: ToolRunner
    limits: Limits
    shares: Shares
    solver: Solver
    proposals: list[FollowUp] = field(default_factory=list[FollowUp])

    @property
    def plan(self) -> RunPlan:
        """How the step is carried out."""
        assert self.request.step.run is not None, "only detached steps run"
        return self.request.step.run

    @property
    def spending(self) -> RunSpending:
        """What is spent by now."""
        return RunSpending(self.recorder.decisions, self.request.frozen.budget, self.request.frozen.fallback)

    def propose(self, step: str, payload: Mapping[str, object]) -> None:
        """Take a follow-up. Errors: `output_invalid`."""
        found = proposed(self.request.plan, self.request.step, step, payload)
        self.proposals[:] = bounded(self.request.step, [*self.proposals, found])

    def ended(self, reason: Reason, code: Code, sentence: str, **witness: object) -> RunEnded:
        """End the run without an output: raise what is returned."""
        return self.recorder.ended(End(reason, code, sentence, witness))

    def failed(self, error: RelmError) -> RunEnded:
        """The same for what the closure is to blame for."""
        return self.recorder.ended(End(Reason.FATAL, error.code, error.sentence, error.witness))

    def out_of_budget(self, what: str) -> RunEnded:
        """The same when `what` is spent."""
        return self.ended(Reason.BUDGET, Code.BUDGET_SPENT, f"{what}: give the run more, or less to do")
