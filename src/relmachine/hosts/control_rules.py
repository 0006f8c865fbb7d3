"""What becomes of a control record that is well formed and new: the rules of fork, close, merge and resolve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.algebra.identity import hash_of
from relmachine.errors import Code
from relmachine.hosts.control_merging import Merging
from relmachine.hosts.control_words import Waits, began, ended, refused, too_many
from relmachine.kernel.control import CLOSE, FORK, MERGE, Fork, Resolve
from relmachine.kernel.control_rows import ResolutionRow
from relmachine.kernel.joining import Joining, alone, forked_state, without_effect
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Refused
from relmachine.store.joined import Joined

if TYPE_CHECKING:
    from relmachine.gates.port import PolicyGate
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store
    from relmachine.stream.port import Reader

Decided = Proposal | Waits


@dataclass(frozen=True, slots=True)
class ControlRules:
    """Decides records on the state of their thread. Everything asked of other threads has an earlier sequence."""

    plan: Plan
    limits: Limits
    store: Store
    reader: Reader
    policy: PolicyGate
    merging: Merging

    async def decide(self, state: ThreadState, record: Candidate) -> Decided:
        """The proposal, or that the record has to wait for another thread."""
        if (no := ended(state, record)) is not None:
            return self._without_effect(state, no)
        if record.step in (CLOSE, MERGE):
            return await self.merging.decide(state, record)
        (denied,) = await self.policy.decide([record])
        if denied is not None:
            return self._without_effect(state, Refused(record, denied))
        return await (self._fork(state, record) if record.step == FORK else self._resolve(state, record))

    async def _fork(self, state: ThreadState, record: Candidate) -> Decided:
        fork = Fork.model_validate_json(record.payload)
        if state.cursor:
            sentence = "fork into a thread that nothing was published on yet: choose another name"
            return self._without_effect(state, refused(record, Code.THREAD_NOT_NEW, sentence, cursor=state.cursor))
        origin = await self._origin(fork, record)
        if origin is None:
            return Waits()
        if isinstance(origin, Refused):
            return self._without_effect(state, origin)
        most = self.limits.events_joined_max
        events = await Joined(self.store.deciding).events(fork.source, fork.at_sequence, most + 1)
        if len(events) > most:
            return self._without_effect(state, too_many(record, most))
        empty = forked_state(self.plan, record.thread, origin)
        joining = Joining(self.plan, empty, record.sequence, events)
        if hash_of(joining.head) != fork.at:
            found = joining.head
            sentence = f"thread {fork.source!r} had another history at that sequence: its events name those it had"
            return self._without_effect(
                state, refused(record, Code.HISTORY_MISMATCH, sentence, at=fork.at, found=found)
            )
        proposal = joining.applied(record, {"record": FORK, "source": fork.source, "events": len(events)})
        return began(proposal, state)

    async def _origin(self, fork: Fork, record: Candidate) -> str | Refused | None:
        """The genesis of the source once it has decided all up to the fork; None while it has not."""
        wrong = refused(
            record,
            Code.HISTORY_MISMATCH,
            f"name a stream sequence of thread {fork.source!r} before this record's: its events tell theirs",
            source=fork.source,
            at_sequence=fork.at_sequence,
        )
        if fork.at_sequence >= record.sequence or fork.source == record.thread:
            return wrong
        if fork.at_sequence == 0:
            return await self._genesis(fork.source, record.sequence)
        message = await self.reader.message_at(fork.at_sequence)
        if message is None:  # a replica that lags: the sequence is below one that was delivered
            return None
        if message.thread != fork.source:
            return wrong
        state = (await self.store.states([fork.source])).get(fork.source)
        if state is None or state.cursor < fork.at_sequence:
            return None
        return state.genesis

    async def _genesis(self, source: str, sequence: int) -> str | None:
        """The genesis of `source` as of stream sequence `sequence`: its own, or what it inherited when it began as a
        fork; None while it has not decided which.
        """
        state = (await self.store.states([source])).get(source)
        if state is None:
            (first,) = await self.reader.read(source, 0, 1) or await self.reader.first_at_leader([(source, 0)])
            if first is not None and first.sequence < sequence:
                return None
        elif await Joined(self.store.deciding).began_as_fork(source, sequence):
            return state.genesis
        return initial_state(self.plan, source).genesis

    async def _resolve(self, state: ThreadState, record: Candidate) -> Decided:
        resolve = Resolve.model_validate_json(record.payload)
        standing = await Joined(self.store.deciding).obstruction(resolve.obstruction, record.sequence)
        if standing is None or standing.row.thread != state.thread:
            sentence = f"thread {state.thread!r} has no such obstruction: `relm obstructions list` shows all"
            no = refused(record, Code.NOT_FOUND, sentence, obstruction=resolve.obstruction)
        elif standing.resolved_at is not None:
            sentence = "the obstruction is resolved, and stays so: fork the thread to go another way"
            no = refused(record, Code.ALREADY_RESOLVED, sentence, sequence=standing.resolved_at)
        elif resolve.keep not in (standing.row.thread, standing.row.other):
            threads = [standing.row.thread, standing.row.other]
            sentence = "say which side to keep by its thread, one of the two in the witness"
            no = refused(record, Code.NOT_FOUND, sentence, keep=resolve.keep, threads=threads)
        else:
            row = ResolutionRow(
                resolve.obstruction, state.thread, record.sequence, resolve.keep, resolve.reason, record.principal
            )
            details = {"record": record.step, "obstruction": resolve.obstruction, "keep": resolve.keep}
            return alone(self.plan, state, record, details, resolutions=(row,))
        return self._without_effect(state, no)

    def _without_effect(self, state: ThreadState, decided: Refused) -> Proposal:
        return without_effect(self.plan, state, decided)
