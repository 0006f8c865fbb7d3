"""Verification of steps that ran outside their turn: each opened, answered and ended again from what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.identity import digest
from relmachine.errors import RelmError
from relmachine.kernel.answer import Answer, Reason
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.control import ANSWER
from relmachine.kernel.detached import OpenRun, aborted, again, answered, opened, why
from relmachine.kernel.folds import FieldFold, fold_of
from relmachine.kernel.frozen import is_plan_of
from relmachine.kernel.held import came_by_merge
from relmachine.kernel.lifecycle import COMMITTED
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.told import told
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.kernel.views import view_digest, view_of
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Reducer, StepPlan
from relmachine.store import tables
from relmachine.store.answers import answer_at
from relmachine.store.points import table_rows
from relmachine.store.runs import Runs
from relmachine.store.tables import Target
from relmachine.store.verify.fault import Fault
from relmachine.store.verify.late import ENDED, LateAgain
from relmachine.store.verify.steps import Row

_AT = "thread = ? AND seq = ?"
_ATTEMPT = "thread = ? AND seq = ? AND attempt = ?"
_TOLD = "SELECT 1 FROM run_stops WHERE thread = ? AND seq = ? AND at_seq < ?"
_ANSWERED_AT = "thread = ? AND at_seq = ?"
_OF_ANSWER = "(thread, seq, attempt) IN (SELECT thread, seq, attempt FROM run_answers WHERE thread = ? AND at_seq = ?)"
_FROZEN = "frozen_digest = ?"
_WRITTEN = """
SELECT c.field, c.value FROM thread_contributions c
WHERE c.thread = ? AND c.seq <= ? AND c.field IN (SELECT value FROM json_each(?)) ORDER BY c.seq, c.place
"""


@dataclass(frozen=True)  # with slots the class is made anew, and `super()` would mean the old one
class RunAgain(LateAgain):
    """A request that opened a run, or the answer to one, decided once more on the state before it."""

    async def proposal(self) -> Proposal | Fault:
        """What its turn gave, or why it would have been decided otherwise."""
        return await (self._opening() if self.stored.home is tables.RUNS else self._answering())

    def computed(self, proposal: Proposal) -> dict[Target, list[Row]]:
        """See `RecordAgain.computed`."""
        run = proposal.run
        return {
            **super().computed(proposal),
            tables.RUNS: list(run.runs),
            tables.RUN_ATTEMPTS: list(run.attempts),
            tables.RUN_ANSWERS: list(run.answers),
            tables.RUN_ENDS: list(run.ends),
            tables.DECISIONS: list(run.decisions),
            tables.ITERATIONS: list(run.iterations),
        }

    def where(self, target: Target) -> str:
        """See `RecordAgain.where`."""
        return _WHERE.get(target) or super().where(target)

    async def _opening(self) -> Proposal | Fault:
        _, _, name, key, payload, payload_digest, frozen, evidence = cast("tuple[str, ...]", self.stored.row)
        bare = Candidate(self.stored.sequence, self.stored.thread, name, key, payload, payload_digest)
        candidate = bare.known(evidence)
        if not self.digested(candidate):
            return self.fault("runs.payload_digest: not that of the payload", payload_digest, payload)
        refusal = self.admission(candidate, ())
        if refusal is not None:
            return self.fault(f"gate {GateName.LAWS} does not admit the step", "opened", str(refusal.code))
        step = self.plan.steps[self.plan.step_index[name]]
        text = await self._frozen(frozen)
        if isinstance(text, Fault):
            return text
        if not is_plan_of(text, self.plan, name, key):
            return self.fault("runs.frozen_digest: no plan of the step", text, "")
        return opened(self.plan, self.state, candidate, text, await self._view(step))

    async def _answering(self) -> Proposal | Fault:
        """The record is put together from its parts: the receipt has the digest of the whole."""
        _, _, _, key, _, evidence = cast("tuple[str, ...]", self.stored.row)
        run, answer = await self._answer()
        text = canonical_text(answer.model_dump(mode="json"))
        record = Candidate(self.stored.sequence, self.stored.thread, ANSWER, key, text, digest("payload", text))
        record = record.known(evidence)
        if not is_plan_of(answer.plan, self.plan, run.candidate.step, run.candidate.step_key):
            return self.fault("run_answers.frozen_digest: no plan of the step", answer.plan, "")
        step = self.plan.steps[self.plan.step_index[run.candidate.step]]
        view = await self._view(step)
        came = await Runs(self._ask).came(record.thread, run.candidate.sequence, record.sequence)
        ends = await table_rows(self.store, tables.RUN_ENDS, _ANSWERED_AT, self.stored.thread, self.stored.sequence)
        if not ends:
            if came or (answer.reason is Reason.DONE and view == run.view):
                return self.fault("run_attempts: an answer that was not overtaken", "again", "")
            return again(self.plan, self.state, record, run, answer, view)
        if ends[0][3] != COMMITTED:
            stored = await self.refusal()
            known = (
                None if stored.code in ENDED else await self._told(answer) or self._why(run, answer, view, came=came)
            )
            return await self.told(aborted(self.plan, self.state, record, run, answer, known or stored))
        contributions = tuple(sorted(answer.contributions.items()))
        refusal = self._why(run, answer, view, came=came)
        if refusal is not None:
            return self.fault("run_ends: an event that would be refused", "committed", str(refusal.code))
        return answered(self.plan, self.state, record, run, answer, contributions)

    async def _told(self, answer: Answer) -> Refusal | None:
        """That the run was told to end before its answer came, which might have given an event."""
        at = (self.stored.thread, answer.request, self.stored.sequence)
        if answer.reason in (Reason.DONE, Reason.OVERTAKEN) and (await self.store.select(_TOLD, at)).rows:
            return why(answer.model_copy(update={"reason": Reason.CANCELLED}))
        return None

    def _why(self, run: OpenRun, answer: Answer, view: str, *, came: bool) -> Refusal | None:
        """Why the answer gives no event, as far as that can be known again: laws of the author's own may still."""
        if answer.reason not in (Reason.DONE, Reason.OVERTAKEN):
            return why(answer)
        if came:
            return came_by_merge(run.candidate)
        if answer.reason is Reason.OVERTAKEN or view != run.view:
            return why(answer.model_copy(update={"reason": Reason.OVERTAKEN}))
        try:
            told(self.plan, run.candidate, answer)
        except RelmError as error:
            return Refusal(error.code, GateName.ENGINE, error.sentence, dict(error.witness))
        return self.admission(run.candidate, answer.contributions.items())

    async def _answer(self) -> tuple[OpenRun, Answer]:
        at = (self.stored.thread, self.stored.sequence)
        ((_, request, attempt, _, reason, *_),) = await table_rows(self.store, tables.RUN_ANSWERS, _ANSWERED_AT, *at)
        place = (self.stored.thread, request)
        ((_, _, name, key, payload, payload_digest, frozen_of, evidence),) = cast(
            "list[tuple[str, ...]]", await table_rows(self.store, tables.RUNS, _AT, *place)
        )
        bare = Candidate(cast(int, request), self.stored.thread, name, key, payload, payload_digest)
        ((*_, view),) = await table_rows(self.store, tables.RUN_ATTEMPTS, _ATTEMPT, *place, attempt)
        run = OpenRun(bare.known(evidence), cast(int, attempt), cast(str, view), frozen_of)
        answer = await answer_at(self.store, *at)
        assert answer is not None, "its row was read"
        assert (answer.request, answer.attempt, answer.reason) == (request, attempt, reason), "the row says the same"
        return run, answer

    async def _frozen(self, name: str) -> str | Fault:
        rows = await table_rows(self.store, tables.FROZEN_PLANS, _FROZEN, name)
        return cast(str, rows[0][1]) if rows else self.fault("frozen_plans: no such plan", name, "")

    async def _view(self, step: StepPlan) -> str:
        names = [name for name in step.read_fields if self.plan.fields[name].reducer is not Reducer.ONCE]
        asked = (self.stored.thread, self.state.cursor, orjson.dumps(names).decode())
        texts: dict[str, list[str]] = {}
        for name, text in (await self.store.select(_WRITTEN, asked)).rows:
            texts.setdefault(cast(str, name), []).append(cast(str, text))
        folds: dict[str, FieldFold] = {}
        for name, some in texts.items():
            made = fold_of(self.plan.fields[name], some)
            assert made is not None, "a field with a contribution has a value"
            folds[name] = made
        return view_digest(self.plan, step, self.state, view_of(self.plan, step, self.state, folds))


_WHERE = {
    tables.RUN_ATTEMPTS: _ANSWERED_AT,
    tables.RUN_ANSWERS: _ANSWERED_AT,
    tables.RUN_ENDS: _ANSWERED_AT,
    tables.DECISIONS: _OF_ANSWER,
    tables.ITERATIONS: _OF_ANSWER,
}
