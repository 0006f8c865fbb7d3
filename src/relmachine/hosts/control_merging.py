"""Merging: two records on the stream, next to each other, that take effect together or not at all.

`_close` on the source, then `_merge` on the target, published as one atomic batch. The source's turn decides for both:
when it has everything that both threads hold before its record, the union exists or it does not. The target's turn
does as the source's did. Neither waits for the other's record before it has one with an earlier sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from relmachine.errors import Code
from relmachine.gates.port import LawCase
from relmachine.hosts.control_words import Waits, ended, refused, too_many
from relmachine.kernel.control import CLOSE, MERGE, Close, Merge
from relmachine.kernel.glue import clashes, merge_details
from relmachine.kernel.joining import Joining, alone, without_effect
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import GateName, Refusal, Refused
from relmachine.machine.plan import Reducer
from relmachine.store.joined import Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relmachine.gates.port import ConstraintGate, LawGate, PolicyGate
    from relmachine.gates.shape import ShapeGate
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.joining import PastEvent
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store
    from relmachine.stream.port import Reader

_PAIR = "publish '_close' and '_merge' next to each other, in one batch, under one key (`relm thread merge` does)"


@dataclass(frozen=True, slots=True)
class Merging:
    """Decides the two records of a merge."""

    plan: Plan
    limits: Limits
    store: Store
    reader: Reader
    shape: ShapeGate
    policy: PolicyGate
    laws: LawGate
    constraints: ConstraintGate

    async def decide(self, state: ThreadState, record: Candidate) -> Proposal | Waits:
        """The proposal of a `_close` or a `_merge` on its open thread, or that it has to wait."""
        return await (self._close(state, record) if record.step == CLOSE else self._merge(state, record))

    async def _close(self, source: ThreadState, record: Candidate) -> Proposal | Waits:
        merge = await self._partner(source, record)
        if isinstance(merge, Waits):
            return merge
        if isinstance(merge, Refused):
            return self._refuse(source, merge)
        target = await self._standing(merge.thread, record.sequence)
        if target is None:
            return Waits()
        no = await self._impossible(source, target, record, merge)
        if no is not None:
            return self._refuse(source, no)
        difference = await Joined(self.store.deciding).difference(
            target.thread, source.thread, record.sequence, self.limits.events_joined_max
        )
        if difference is None:
            return self._refuse(source, too_many(record, self.limits.events_joined_max))
        found = clashes(self.plan, difference, merge.sequence, self.limits.obstructions_per_merge_max)
        if found.pairs:
            ids = [row.obstruction_id for row in found.rows[:8]]
            sentence = (
                f"{found.pairs} pairs of steps of the two threads depend on each other, and neither comes first: "
                "`relm obstructions list` shows both sides; resolve them, or leave the threads apart"
            )
            no = refused(record, Code.OBSTRUCTED, sentence, pairs=found.pairs, obstructions=ids)
            return without_effect(self.plan, source, no, found.rows)
        joining = Joining(self.plan, target, merge.sequence, difference.theirs)
        broken = await self._broken(target, difference.theirs, merge, joining)
        if broken is not None:
            return self._refuse(source, Refused(record, broken))
        details = {"record": CLOSE, "target": target.thread, "merged_history": joining.head}
        return alone(self.plan, source, record, details, closed=target.thread)

    async def _merge(self, target: ThreadState, record: Candidate) -> Proposal | Waits:
        merge = Merge.model_validate_json(record.payload)
        before = await self.reader.message_at(record.sequence - 1) if record.sequence > 1 else None
        if before is None and record.sequence > 1:
            return Waits()
        if before is None or (before.thread, before.step_token) != (merge.source, CLOSE):
            return self._refuse(target, refused(record, Code.MERGE_UNPAIRED, _PAIR))
        source = (await self.store.states([merge.source])).get(merge.source)
        if source is None or source.cursor < before.sequence:
            return Waits()
        asked = Joined(self.store.deciding)
        control = await asked.control(merge.source, before.sequence)
        if control is None:
            return self._refuse(target, await self._as_source(asked, record, merge.source, before.sequence))
        close, twin = Close.model_validate_json(control[1]), self.shape.check(before)
        if close.target != target.thread or isinstance(twin, Refused) or twin.step_key != record.step_key:
            return self._refuse(target, refused(record, Code.MERGE_UNPAIRED, _PAIR))
        difference = await asked.difference(target.thread, merge.source, before.sequence, self.limits.events_joined_max)
        assert difference is not None, "the source's turn saw the same difference, within the limit"
        known = await asked.known(target.thread, record.sequence, difference.theirs)
        joining = Joining(self.plan, target, record.sequence, difference.theirs, known)
        return joining.applied(record, merge_details(difference))

    async def _partner(self, source: ThreadState, record: Candidate) -> Candidate | Refused | Waits:
        """The `_merge` that stands right after the `_close` on the stream, and belongs to it."""
        close = Close.model_validate_json(record.payload)
        after = await self.reader.message_at(record.sequence + 1)
        if after is None:  # the end of the stream: what comes next tells whether this is half of a pair
            return Waits()
        unpaired = refused(record, Code.MERGE_UNPAIRED, _PAIR)
        if (after.thread, after.step_token) != (close.target, MERGE) or close.target == source.thread:
            return unpaired
        merge = self.shape.check(after)
        if isinstance(merge, Refused) or merge.step_key != record.step_key:
            return unpaired
        if Merge.model_validate_json(merge.payload).source != source.thread:
            return unpaired
        return merge

    async def _standing(self, thread: str, before: int) -> ThreadState | None:
        """The state of `thread` once it has decided all below `before`; None while it has not.

        The thread has a message right after `before`, so a read that comes back empty is one that lags.
        """
        state = (await self.store.states([thread])).get(thread) or initial_state(self.plan, thread)
        if state.cursor > before:  # the records were decided elsewhere: the turn under way starts from an old state
            return None
        following = await self.reader.read(thread, state.cursor, 1)
        return state if following and following[0].sequence > before else None

    async def _impossible(
        self, source: ThreadState, target: ThreadState, record: Candidate, merge: Candidate
    ) -> Refused | None:
        """Why these threads cannot be merged by these records, whatever they hold."""
        denied = [refusal for refusal in await self.policy.decide([record, merge]) if refusal is not None]
        if denied:
            return Refused(record, denied[0])
        if (await self.store.receipts([(target.thread, merge.step_key)])).get((target.thread, merge.step_key)):
            return refused(record, Code.MERGE_UNPAIRED, f"{_PAIR}; this key is another step's there")
        if target.stopped:
            return ended(target, record)
        if target.closed:
            sentence = f"thread {target.thread!r} was merged into {target.closed!r}: merge into that one"
            return refused(record, Code.THREAD_CLOSED, sentence, into=target.closed)
        if target.genesis != source.genesis:
            sentence = "only threads of one root can be merged: one a fork of the other, or both forks of a third"
            return refused(record, Code.GENESIS_MISMATCH, sentence, target=target.genesis, source=source.genesis)
        return None

    async def _broken(
        self, target: ThreadState, events: Sequence[PastEvent], merge: Candidate, joining: Joining
    ) -> Refusal | None:
        """The first law that the union breaks: gate 3 decides again, with the target's history as what came before.

        The laws of claims and `once` fields cannot fail here, by confluence; what the steps contributed is what they
        contributed when they were admitted. The machine's own laws are not asked again: they see only a step's causal
        past, which a merge does not change.
        """
        if not events:
            return None
        once = {name for name, field in self.plan.fields.items() if field.reducer is Reducer.ONCE}
        steps = [event.candidate(target.thread, merge.sequence) for event in events]
        values = [{name: text for name, text in event.contributions if name in once} for event in events]
        (verdicts,) = await self.laws.admit([LawCase(target, steps, values)])
        for refusal in verdicts:
            if refusal is not None:
                return refusal
        (found,) = await self.constraints.check([joining.proposal()])
        return next(iter(found.values()), None)

    async def _as_source(self, asked: Joined, record: Candidate, source: str, sequence: int) -> Refused:
        """The refusal that the source's turn gave, or that its record was none of this merge."""
        found = await asked.rejection(source, sequence)
        if found is None:
            return refused(record, Code.MERGE_UNPAIRED, _PAIR)
        gate, code, sentence, witness = found
        return Refused(record, Refusal(Code(code), GateName(gate), sentence, orjson.loads(witness)))

    def _refuse(self, state: ThreadState, no: Refused) -> Proposal:
        return without_effect(self.plan, state, no)
