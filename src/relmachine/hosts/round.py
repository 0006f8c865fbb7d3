"""A round: the turns of many threads, taken together through every stage.

Each stage is one batched call: load, read, shape, repetition, policy, laws and run, advance, constraints, commit. What
comes back is what the store made durable. A round keeps nothing between calls but the hot states, which the store's
fence checks; so it may run twice, late, or on two nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from relmachine.errors import Code, RelmError
from relmachine.hosts.caches import Caches
from relmachine.hosts.round_committing import Committing
from relmachine.hosts.round_deciding import Deciding
from relmachine.hosts.round_parting import Parting
from relmachine.hosts.round_reading import RoundReading
from relmachine.hosts.round_sorting import Sorting

if TYPE_CHECKING:
    from relmachine.hosts.stages import Stages
    from relmachine.kernel.candidate import Message
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.store.port import TooLarge

_log = structlog.get_logger(__name__)


class Rounds:
    """Runs rounds on given stages."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self.reading = RoundReading(stages.limits, stages.reader)
        self._parting = Parting(stages.plan)
        self._sorting = Sorting(stages.plan, stages.shape, stages.store, stages.values, stages.sightings)
        parts = (stages.policy, stages.engine, stages.constraints)
        self._deciding = Deciding(stages.plan, stages.limits, *parts, stages.store.calm)
        caches = Caches(stages.hot, stages.values, stages.sightings)
        self.committing = Committing(stages.store, stages.relay, caches, stages.runner, stages.telemetry)

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
        proposals, waiting = await self._propose(states, messages)
        if not proposals:
            return []
        done = await self.committing.commit(proposals, strangers)
        cursors.update((proposal.after.thread, proposal.after.cursor) for proposal in done.durable)
        for outcome in done.large:
            most[outcome.thread] = _fewer(outcome, len(messages[outcome.thread]))
        return sorted(done.again.union(waiting))

    def _awake(self, states: Mapping[str, ThreadState]) -> Mapping[str, ThreadState]:
        """Without paused threads, which are looked at again whenever somebody asks for them."""
        awake = self._stages.pauses.awake(states)
        for thread in states.keys() - awake.keys():
            self._stages.hot.drop(thread)
        return awake

    async def _propose(
        self, states: Mapping[str, ThreadState], messages: Mapping[str, Sequence[Message]]
    ) -> tuple[list[Proposal], Sequence[str]]:
        """What the messages lead to, and the threads whose record waited for what is decided with it."""
        parted = self._parting.part(messages)
        turns = await self._sorting.turns(states, parted.steps)
        decided, waiting = await self._stages.controls.propose(states, parted.records) if parted.records else ([], [])
        runs = await self._stages.runs.propose(states, parted.runs) if parted.runs else []
        steps = await self._deciding.propose(turns) if turns else []
        return [*steps, *decided, *runs], waiting if decided else []


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
