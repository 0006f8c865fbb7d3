"""Steps that run outside their turn, the pure part: the turns that open a run, answer it, and let it begin again.

A run is no event until it is answered: its step is one then, at the sequence of the answer, with what the answer says
it contributes. Source: `docs/agents.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson

from relmachine.errors import Code
from relmachine.kernel.answer import Answer, Reason
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.control_rows import ControlRow
from relmachine.kernel.frozen import frozen_digest
from relmachine.kernel.joining import control_row
from relmachine.kernel.ledger import committed
from relmachine.kernel.lifecycle import ABORTED, COMMITTED
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.run_rows import (
    AnswerRow,
    AttemptRow,
    DecisionRow,
    FrozenRow,
    IterationRow,
    RunEndRow,
    RunRow,
    RunRows,
)
from relmachine.kernel.state import ThreadState
from relmachine.kernel.transitions import ENDS
from relmachine.kernel.turn import Turn
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.plan import Plan

_ADVICE = {
    Reason.CAP: "it made as many passes as it may: raise `passes` of its budget, or ask for less",
    Reason.FATAL: "it failed: `relm thread runs` shows its passes",
    Reason.NO_PROGRESS: "it found nothing new any more: `relm thread runs` shows its passes",
    Reason.CANCELLED: "it was cancelled: publish the step under a new id to run it again",
    Reason.BUDGET: "it spent what it may: raise its budget, and publish it under a new id",
    Reason.OVERTAKEN: "steps that it looks at kept coming in between: publish it when they rest",
}


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that has not ended: the step as it was opened, the attempt that runs, the digest of what that one sees.

    `cancelled` says that the run, or its whole thread, was told to end: nothing it gives counts any more.
    """

    candidate: Candidate
    attempt: int
    view: str
    frozen_digest: str
    cancelled: bool = False


def opened(plan: Plan, state: ThreadState, candidate: Candidate, frozen: str, view: str) -> Proposal:
    """The turn of a step that may begin: `frozen` is the text of its plan, `view` the digest of its view."""
    turn = Turn(plan, state)
    turn.cursor = candidate.sequence
    turn.ledger.opened(candidate)
    digest = frozen_digest(frozen)
    at = (candidate.thread, candidate.sequence)
    content = (candidate.step, candidate.step_key, candidate.payload, candidate.payload_digest)
    run = RunRow(*at, *content, digest, candidate.evidence())
    attempt = AttemptRow(*at, 1, candidate.sequence, view)
    return replace(turn.proposal(), run=RunRows((run,), (attempt,), plans=(FrozenRow(digest, frozen),)))


def answered(
    plan: Plan, state: ThreadState, record: Candidate, run: OpenRun, answer: Answer, contributions: Contributions
) -> Proposal:
    """The turn of an answer that every gate lets pass: the step becomes an event, and what it proposes leaves."""
    turn = Turn(plan, state)
    turn.cursor = record.sequence
    step = replace(run.candidate, sequence=record.sequence)
    source, event = turn.head, turn.extend(step, contributions)
    turn.settle(record.sequence, source)
    turn.propose(step, event, answer.follow_ups)
    outcome = committed(record.sequence, event, turn.head)
    turn.ledger.answered(record, turn.head, outcome, run=run.candidate)
    return _ended(turn, record, run, answer, COMMITTED, outcome)


def aborted(
    plan: Plan, state: ThreadState, record: Candidate, run: OpenRun, answer: Answer, refusal: Refusal
) -> Proposal:
    """The turn of an answer that gives no event: the run ended otherwise, or a gate refuses what it gives."""
    turn = Turn(plan, state)
    turn.cursor = record.sequence
    outcome = turn.ledger.rejected(replace(run.candidate, sequence=record.sequence), refusal, ABORTED)
    turn.ledger.answered(record, turn.head, outcome, run=run.candidate)
    return _ended(turn, record, run, answer, ABORTED, outcome)


def again(plan: Plan, state: ThreadState, record: Candidate, run: OpenRun, answer: Answer, view: str) -> Proposal:
    """The turn of an answer that came too late: steps it depends on came in between, so the run begins again."""
    turn = Turn(plan, state)
    turn.cursor = record.sequence
    outcome = {"outcome": "overtaken", "sequence": record.sequence, "attempt": run.attempt + 1}
    turn.ledger.answered(record, turn.head, outcome, run=run.candidate)
    at = (record.thread, run.candidate.sequence)
    attempt = AttemptRow(*at, run.attempt + 1, record.sequence, view)
    rows = replace(_answer_rows(record, run, answer), attempts=(attempt,))
    return replace(turn.proposal(), controls=(_control(record, answer),), run=rows)


def why(answer: Answer) -> Refusal:
    """Why a run that is not `done` gives no event."""
    code, advice = ENDS[answer.reason].code, _ADVICE[answer.reason]
    assert code is not None, "only a run that is done has no code"
    witness: dict[str, object] = {"reason": answer.reason, "attempt": answer.attempt, "passes": len(answer.passes)}
    failure = answer.failure
    if failure is None:
        return Refusal(code, GateName.ENGINE, f"the run of this step ended: {advice}", witness)
    if failure.code in list(Code):
        code = Code(failure.code)
    witness["detail"] = orjson.loads(failure.witness)
    return Refusal(code, GateName.ENGINE, failure.sentence, witness)


def said(answer: Answer) -> str:
    """What an answer says beside what has rows of its own: its decisions, its passes and its plan."""
    return answer.model_dump_json(exclude={"decisions", "passes", "plan"})


def _ended(
    turn: Turn, record: Candidate, run: OpenRun, answer: Answer, lifecycle: str, outcome: dict[str, object]
) -> Proposal:
    end = RunEndRow(record.thread, run.candidate.sequence, record.sequence, lifecycle, orjson.dumps(outcome).decode())
    rows = replace(_answer_rows(record, run, answer), ends=(end,))
    return replace(turn.proposal(), controls=(_control(record, answer),), run=rows)


def _control(record: Candidate, answer: Answer) -> ControlRow:
    """What is kept of the record beside the rows of the run."""
    payload = {"request": answer.request, "attempt": answer.attempt, "reason": answer.reason}
    return control_row(record)._replace(payload=orjson.dumps(payload).decode())


def _answer_rows(record: Candidate, run: OpenRun, answer: Answer) -> RunRows:
    at = (record.thread, run.candidate.sequence, run.attempt)
    digest = frozen_digest(answer.plan)
    return RunRows(
        answers=(AnswerRow(*at, record.sequence, answer.reason, digest, said(answer)),),
        plans=(FrozenRow(digest, answer.plan),),
        decisions=tuple(
            DecisionRow(*at, place, one.kind, one.name, one.asked, one.value, one.error, one.tokens, one.cost, one.seal)
            for place, one in enumerate(answer.decisions)
        ),
        iterations=tuple(
            IterationRow(*at, one.number, one.decision, one.tool, one.input, one.output, one.error, one.state)
            for one in answer.passes
        ),
    )
