"""What a replay has in place of those who would be asked or told."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.outcome_rows import OutboxRow
    from relmachine.kernel.verdicts import Refusal


class Permitted:
    """Gate 2 of what was let pass: it is not asked again."""

    revision = "replay"

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        """Everything in an export was allowed."""
        return [None] * len(steps)


class NoRelay:
    """Nothing leaves: outbox rows stay in the store that the replay throws away."""

    def put(self, rows: Iterable[OutboxRow], strangers: Collection[str] = ()) -> None:
        """See `hosts.relay.Relay.put`."""

    def fall_behind(self) -> None:
        """See `hosts.relay.Relay.fall_behind`."""

    @contextmanager
    def dropping(self) -> Generator[Sequence[OutboxRow]]:
        """See `hosts.relay.Relay.dropping`."""
        yield ()
