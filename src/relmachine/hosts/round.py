"""A round: the turns of many threads, taken together through every stage.

Each stage is one batched call: load, read, shape, repetition, policy, laws and run, advance, constraints, commit. What
comes back is what the store made durable. A round keeps nothing between calls but the hot states, which the store's
fence checks; so it may run twice, late, or on two nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from relmachine.engine.turn import Case, Engine
from relmachine.errors import Code, RelmError
from relmachine.gates.port import ConstraintGate, PolicyGate
from relmachine.hosts.control_words import refuse_if_closed
from relmachine.hosts.pauses import Pauses
from relmachine.hosts.repetition import Sorted, sort_out
from relmachine.hosts.round_parting import Parting
from relmachine.hosts.round_reading import RoundReading
from relmachine.hosts.stretch import Stretch
from relmachine.kernel.advance import advance
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.held import holding
from relmachine.kernel.proposal import NO_RUN
from relmachine.kernel.verdicts import Admitted, Decided, Refusal, Refused
from relmachine.machine.plan import Reducer
from relmachine.store.port import CommitOutcome, Stale, TooLarge

if TYPE_CHECKING:
    from relmachine.gates.own_law_scene import Sighting
    from relmachine.gates.shape import ShapeGate
    from relmachine.hosts.control_turns import ControlTurns
    from relmachine.hosts.relay import Relay
    from relmachine.hosts.run_turns import RunTurns
    from relmachine.hosts.sightings import HotSightings
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.hosts.threads import HotThreads
    from relmachine.hosts.values import Folds, HotValues
    from relmachine.kernel.envelope import Message
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Receipt, Store
    from relmachine.stream.port import Reader


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stages:
    """The parts a round calls, in the order it calls them."""

    plan: Plan
    limits: Limits
    hot: HotThreads
    values: HotValues
    reader: Reader
    shape: ShapeGate
    store: Store
    policy: PolicyGate
    engine: Engine
    constraints: ConstraintGate
    relay: Relay
    controls: ControlTurns
    runs: RunTurns
    sightings: HotSightings | None = None
    """Needed when the plan has laws of its author's own."""
    runner: Following | None = None
    """Carries out the runs that turns open; a replay has none."""
    telemetry: Telemetry | None = None
    """Told of what is durable; whoever decides something again has none."""
    pauses: Pauses = field(default_factory=Pauses)


class Following(Protocol):
    """Who carries out runs."""

    def follow(self, proposals: Iterable[Proposal]) -> None:
        """These turns, which opened or answered runs, are durable."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One thread in a round: its state, what gate 1 and the receipts made of its new messages."""

    state: ThreadState
    sorted: Sorted
    values: Folds
    seen: Sequence[Sighting] = ()


class Rounds:
    """Runs rounds on given stages."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self.reading = RoundReading(stages.limits, stages.reader)
        self._parting = Parting(stages.plan)
        self.turns_committed = self.turns_stale = 0
        fields = stages.plan.fields
        self._folded_reads = {
            step.name: frozenset(name for name in step.read_fields if fields[name].reducer is not Reducer.ONCE)
            for step in stages.plan.steps
            if step.computed
        }

    async def run(self, threads: Sequence[str], hinted: Mapping[str, int] | None = None) -> Mapping[str, int]:
        """One turn for each of the distinct `threads`; returns the committed cursor of each, as far as known here.
        `hinted` has stream sequences that are known to be on a thread.

        A thread that stays stale for `Limits.commit_attempts_max` attempts keeps its cursor: another node takes its
        turns. One whose turn is larger than a commit may be takes fewer steps. Errors: whatever store or stream raise
        when they cannot be reached; nothing is committed then, or the next turn finds that it is; `limit_exceeded` when
        a single step is too large for a commit.
        """
        cursors: dict[str, int] = {}
        left = list(threads)
        most: dict[str, int] = {}
        for _ in range(self._stages.limits.commit_attempts_max):
            left = await self._attempt(left, hinted or {}, cursors, most)
            if not left:
                return cursors
        _log.warning("threads are busy elsewhere, their hints go back", threads=left[:10], count=len(left))
        return cursors

    async def _attempt(
        self, threads: Sequence[str], hinted: Mapping[str, int], cursors: dict[str, int], most: dict[str, int]
    ) -> list[str]:
        """One turn each, of at most so many steps as `most` says; the threads to be tried again."""
        loaded, strangers = await self._stages.hot.load(threads)
        cursors.update((thread, state.cursor) for thread, state in loaded.items())
        states = self._awake(loaded)
        if not states:
            return []
        messages = await self.reading.next_steps(states, hinted, most)
        parted = self._parting.part(messages)
        turns = await self._sort(states, parted.steps)
        decided, waiting = await self._stages.controls.propose(states, parted.records) if parted.records else ([], [])
        runs = await self._stages.runs.propose(states, parted.runs) if parted.runs else []
        proposals = [*(await self._propose(turns) if turns else ()), *decided, *runs]
        if not proposals:
            return []
        outcomes = await self._commit(proposals)
        stale = {outcome.thread for outcome in outcomes if isinstance(outcome, Stale)}
        large = [outcome for outcome in outcomes if isinstance(outcome, TooLarge)]
        again = stale.union(outcome.thread for outcome in large)
        durable = [proposal for proposal in proposals if proposal.after.thread not in again]
        self.turns_committed += len(durable)
        self.turns_stale += len(stale)
        self._stages.hot.keep(proposal.after for proposal in durable)
        for proposal in durable:
            self._remember(proposal)
        if runs and self._stages.runner is not None:
            self._stages.runner.follow(proposal for proposal in durable if proposal.run is not NO_RUN)
        cursors.update((proposal.after.thread, proposal.after.cursor) for proposal in durable)
        if self._stages.telemetry is not None:
            self._stages.telemetry.committed(durable)
        self._stages.relay.put((row for proposal in durable for row in proposal.outbox), strangers)
        for thread in stale:
            self._forget(thread)
        for outcome in large:
            most[outcome.thread] = _fewer(outcome, len(messages[outcome.thread]))
        # What a record waited for may be among what was just decided.
        return sorted(again.union(waiting) if decided else again)

    async def _commit(self, proposals: Sequence[Proposal]) -> Sequence[CommitOutcome]:
        """Commit. A failure does not tell whether it is durable: states and outbox are read from the store again."""
        try:
            with self._stages.relay.dropping() as sent:
                return await self._stages.store.commit(proposals, sent)
        except BaseException:
            for proposal in proposals:
                self._forget(proposal.before.thread)
            self._stages.relay.fall_behind()
            raise

    def _remember(self, proposal: Proposal) -> None:
        """Take a durable proposal into what is kept beside the states; what a record joined is read again."""
        if proposal.joins:
            self._forget_past(proposal.after.thread)
            return
        self._stages.values.advance(proposal)
        if self._stages.sightings is not None:
            self._stages.sightings.advance(proposal)

    def _awake(self, states: Mapping[str, ThreadState]) -> Mapping[str, ThreadState]:
        """Without paused threads, which are looked at again whenever somebody asks for them."""
        awake = self._stages.pauses.awake(states)
        for thread in states.keys() - awake.keys():
            self._stages.hot.drop(thread)
        return awake

    def _forget(self, thread: str) -> None:
        self._stages.hot.drop(thread)
        self._forget_past(thread)

    def _forget_past(self, thread: str) -> None:
        self._stages.values.drop(thread)
        if self._stages.sightings is not None:
            self._stages.sightings.drop(thread)

    async def _sort(self, states: Mapping[str, ThreadState], messages: Mapping[str, Sequence[Message]]) -> list[Turn]:
        check = self._stages.shape.check
        shaped: dict[str, list[Candidate | Refused]] = {}
        stretch = Stretch()
        for thread, batch in messages.items():
            if batch:
                shaped[thread] = [check(message) for message in batch]
                await stretch.let_others_in()
        receipts = await self._receipts(states, shaped)
        sorted_out = {thread: sort_out(thread, items, receipts) for thread, items in shaped.items()}
        for thread, found in sorted_out.items():
            no = refuse_if_closed(states[thread], found.fresh)
            found.decided.update((item.candidate.sequence, item) for item in no)
            found.fresh = [] if no else found.fresh
        values = await self._values(states, sorted_out)
        seen = await self._seen(states, sorted_out)
        return [
            Turn(states[thread], found, values.get(thread, {}), seen.get(thread, ()))
            for thread, found in sorted_out.items()
        ]

    async def _seen(
        self, states: Mapping[str, ThreadState], found: Mapping[str, Sorted]
    ) -> Mapping[str, Sequence[Sighting]]:
        """What laws of the author's own may see of the threads' events."""
        if self._stages.sightings is None:
            return {}
        return await self._stages.sightings.load(states, {thread: some.fresh for thread, some in found.items()})

    async def _values(self, states: Mapping[str, ThreadState], found: Mapping[str, Sorted]) -> Mapping[str, Folds]:
        """Folds of the fields that the fresh steps' closures read; `once` fields are in the state."""
        reads = self._folded_reads
        fields = {
            thread: frozenset(name for step in some.fresh for name in reads.get(step.step, ()))
            for thread, some in found.items()
        }
        return await self._stages.values.load(
            {thread: (states[thread], some) for thread, some in fields.items() if some}
        )

    async def _receipts(
        self, states: Mapping[str, ThreadState], shaped: Mapping[str, Sequence[Candidate | Refused]]
    ) -> Mapping[tuple[str, str], Receipt]:
        """Receipts that any of the steps may repeat; a thread without a cursor has none."""
        keys = [
            (thread, candidate.step_key)
            for thread, items in shaped.items()
            if states[thread].cursor
            for candidate in (item.candidate if isinstance(item, Refused) else item for item in items)
            if candidate.step_key
        ]
        return await self._stages.store.receipts(keys) if keys else {}

    async def _propose(self, turns: Sequence[Turn]) -> list[Proposal]:
        """Decide, advance, and decide again without the steps whose effect would break a law of the fibers."""
        denied = await self._policy(turns)
        withdrawn: list[dict[int, Refusal]] = [{} for _ in turns]
        for _ in range(self._stages.limits.reruns_per_turn_max):
            proposals = await self._decide(turns, denied, withdrawn)
            broken = await self._stages.constraints.check(proposals)
            if not any(broken):
                return proposals
            for known, new in zip(withdrawn, broken, strict=True):
                known.update(new)
        raise RelmError(
            Code.LIMIT_EXCEEDED,
            "the machine's laws refuse what its own steps do: run `relm check` on it",
            reruns_per_turn_max=self._stages.limits.reruns_per_turn_max,
        )

    async def _policy(self, turns: Sequence[Turn]) -> list[dict[int, Refusal]]:
        fresh = [step for turn in turns for step in turn.sorted.fresh]
        verdicts = iter(await self._stages.policy.decide(fresh))
        return [
            {step.sequence: refusal for step in turn.sorted.fresh if (refusal := next(verdicts)) is not None}
            for turn in turns
        ]

    async def _decide(
        self,
        turns: Sequence[Turn],
        denied: Sequence[Mapping[int, Refusal]],
        withdrawn: Sequence[Mapping[int, Refusal]],
    ) -> list[Proposal]:
        cases = [
            Case(
                state=turn.state,
                steps=[step for step in turn.sorted.fresh if step.sequence not in refused],
                values=turn.values,
                seen=turn.seen,
                withdrawn=taken,
            )
            for turn, refused, taken in zip(turns, denied, withdrawn, strict=True)
        ]
        outcomes = await self._stages.engine.decide(cases)
        plan, held_max = self._stages.plan, self._stages.limits.held_per_thread_max
        proposals: list[Proposal] = []
        stretch = Stretch()
        for turn, refused, case, decided in zip(turns, denied, cases, outcomes, strict=True):
            ordered = holding(plan, turn.state, _in_order(turn, refused, case, decided), held_max)
            proposals.append(advance(plan, turn.state, ordered))
            await stretch.let_others_in()
        return proposals


def _fewer(outcome: TooLarge, steps: int) -> int:
    """How many steps to take instead of `steps`, which made a commit that is too large."""
    if steps > 1:
        return max(1, steps // 4)
    raise RelmError(
        Code.LIMIT_EXCEEDED,
        f"a step of thread {outcome.thread!r} is too large for one commit: publish smaller payloads",
        thread=outcome.thread,
        commit_bytes=outcome.commit_bytes,
        commit_bytes_max=outcome.commit_bytes_max,
    )


def _in_order(
    turn: Turn, denied: Mapping[int, Refusal], case: Case, outcomes: Sequence[Admitted | Refused]
) -> list[Decided]:
    """All outcomes of a turn in subject order, up to the first step that was left for the next turn."""
    decided: dict[int, Decided] = dict(turn.sorted.decided)
    decided.update(
        (step.sequence, Refused(step, denied[step.sequence])) for step in turn.sorted.fresh if step.sequence in denied
    )
    decided.update((item.candidate.sequence, item) for item in outcomes)
    undecided = case.steps[len(outcomes)].sequence if len(outcomes) < len(case.steps) else None
    return [decided[seq] for seq in sorted(decided) if undecided is None or seq < undecided]
