"""What a round reads: each thread's next steps, within the bounds, and never nothing where something is known to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmachine.kernel.candidate import Message
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.state import ThreadState
    from relmachine.stream.port import Reader


class RoundReading:
    """Reads for rounds.

    `at_leader` counts the threads that were read at the stream's leader, because a replica had nothing of them though a
    hint said so; `in_vain` those of which there was nothing either: their hints go back.
    """

    def __init__(self, limits: Limits, reader: Reader) -> None:
        self._limits, self._reader = limits, reader
        self.at_leader = self.in_vain = 0

    async def next_steps(
        self, states: Mapping[str, ThreadState], hinted: Mapping[str, int], most: Mapping[str, int]
    ) -> Mapping[str, Sequence[Message]]:
        """Each thread's next steps: of both bounds of a round, in steps and in bytes, threads have equal shares.

        `hinted` has sequences that are known to be on the stream, `most` how many steps a thread may take at all.
        """
        limits, threads = self._limits, max(1, len(states))
        share = max(1, min(limits.steps_per_turn_max, limits.steps_per_round_max // threads))
        requests = [(thread, state.cursor, min(share, most.get(thread, share))) for thread, state in states.items()]
        bytes_max = min(limits.payload_bytes_per_turn_max, limits.payload_bytes_per_round_max // threads)
        answers = await self._reader.read_many(requests, bytes_max)
        found = dict(zip(states, answers, strict=True))
        missing = [
            thread for thread, steps in found.items() if not steps and hinted.get(thread, 0) > states[thread].cursor
        ]
        if missing:
            found.update(await self._at_leader({thread: states[thread].cursor for thread in missing}))
        return {thread: _up_to(states[thread].until, steps) for thread, steps in found.items()}

    async def _at_leader(self, cursors: Mapping[str, int]) -> Mapping[str, Sequence[Message]]:
        """The first step of each thread above its cursor: enough for a turn, and the next one goes on from there."""
        first = await self._reader.first_at_leader(list(cursors.items()))
        self.at_leader += len(first)
        self.in_vain += first.count(None)
        return {thread: () if step is None else (step,) for thread, step in zip(cursors, first, strict=True)}


def _up_to(until: int, steps: Sequence[Message]) -> Sequence[Message]:
    """The steps of a turn that ends at sequence `until`; all of them when it is 0."""
    return [step for step in steps if step.sequence <= until] if until else steps
