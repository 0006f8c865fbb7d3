"""How a round commits, and who is told of what is durable then: caches, runner, telemetry and feeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.kernel.run_rows import NO_RUN
from relmachine.store.port import CommitOutcome, Stale, TooLarge

if TYPE_CHECKING:
    from relmachine.hosts.caches import Caches
    from relmachine.hosts.relay import Relay
    from relmachine.hosts.stages import Following
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.kernel.proposal import Proposal
    from relmachine.store.port import Store


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """What came of a commit: the proposals that took effect, and the threads to be tried again; of those `large` had a
    turn that is larger than a commit may be."""

    durable: Sequence[Proposal]
    again: frozenset[str]
    large: Sequence[TooLarge]


class Committing:
    """Commits. `committed` and `stale` count turns."""

    def __init__(
        self, store: Store, relay: Relay, caches: Caches, runner: Following | None, telemetry: Telemetry | None
    ) -> None:
        self._store, self._relay, self._caches = store, relay, caches
        self._runner, self._telemetry = runner, telemetry
        self.committed = self.stale = 0

    async def commit(self, proposals: Sequence[Proposal], strangers: Collection[str]) -> RoundOutcome:
        """Commit, and tell. Of `strangers` another node may have moved the feeds before."""
        outcomes = await self._outcomes(proposals)
        stale = frozenset(outcome.thread for outcome in outcomes if isinstance(outcome, Stale))
        large = [outcome for outcome in outcomes if isinstance(outcome, TooLarge)]
        again = stale.union(outcome.thread for outcome in large)
        durable = [proposal for proposal in proposals if proposal.after.thread not in again]
        self.committed += len(durable)
        self.stale += len(stale)
        self._tell(durable, strangers)
        self._caches.forget(stale)
        return RoundOutcome(durable, again, large)

    async def _outcomes(self, proposals: Sequence[Proposal]) -> Sequence[CommitOutcome]:
        """A failure does not tell whether anything is durable: states and outbox are read from the store again."""
        try:
            with self._relay.dropping() as sent:
                return await self._store.commit(proposals, sent)
        except BaseException:
            self._caches.forget(proposal.before.thread for proposal in proposals)
            self._relay.fall_behind()
            raise

    def _tell(self, durable: Sequence[Proposal], strangers: Collection[str]) -> None:
        self._caches.advance(durable)
        if self._runner is not None:
            self._runner.follow(proposal for proposal in durable if proposal.run is not NO_RUN)
        if self._telemetry is not None:
            self._telemetry.committed(durable)
        self._relay.put((row for proposal in durable for row in proposal.outbox), strangers)
