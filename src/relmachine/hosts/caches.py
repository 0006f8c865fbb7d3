"""What a node keeps of threads between rounds: their states, and beside these folds and what laws have seen.

All of it can be read again, and the store's fence checks the states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmachine.hosts.sightings import HotSightings
    from relmachine.hosts.threads import HotThreads
    from relmachine.hosts.values import HotValues
    from relmachine.kernel.proposal import Proposal


@dataclass(frozen=True, slots=True)
class Caches:
    """The caches of one node, moved and dropped together."""

    states: HotThreads
    values: HotValues
    sightings: HotSightings | None

    def advance(self, durable: Sequence[Proposal]) -> None:
        """Take what is durable now; beside the states, what a record joined is read again, and the state of a thread
        that is built again: the store says each time how far it goes."""
        self.states.keep(proposal.after for proposal in durable if not proposal.before.until)
        for proposal in durable:
            if proposal.before.until:
                self.states.drop(proposal.after.thread)
            if proposal.joins:
                self._forget_past(proposal.after.thread)
                continue
            self.values.advance(proposal)
            if self.sightings is not None:
                self.sightings.advance(proposal)

    def forget(self, threads: Iterable[str]) -> None:
        """Drop all that is kept of these."""
        for thread in threads:
            self.states.drop(thread)
            self._forget_past(thread)

    def _forget_past(self, thread: str) -> None:
        self.values.drop(thread)
        if self.sightings is not None:
            self.sightings.drop(thread)
