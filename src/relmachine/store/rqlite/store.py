"""The replicated store: a cluster of rqlite servers, asked over HTTP. Same schema, same promises as one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext

from relmachine.kernel.lane import Asked, Effect, Foretold
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.machine.plan import Plan
from relmachine.store.deciding import (
    CONTRIBUTIONS,
    RECEIPTS,
    STATES,
    UNSENT,
    asked,
    contributions_of,
    outbox_of,
    receipts_of,
    states_of,
)
from relmachine.store.port import UNSENT_BYTES_MAX, CommitOutcome, Committed, Draft, Reads, Receipt, Table
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.copying import still
from relmachine.store.rqlite.lane import foretell, take
from relmachine.store.rqlite.level import Level
from relmachine.store.rqlite.opening import read_meta, settle_schema
from relmachine.store.rqlite.selecting import select
from relmachine.store.rqlite.writing import RqliteWriter


class RqliteReading:
    """A replicated store, opened to look at it."""

    def __init__(self, client: RqliteClient, store_id: str, limits: Limits) -> None:
        self._client, self._store_id, self._limits = client, store_id, limits

    @property
    def store_id(self) -> str:
        """Random id given when the store was created."""
        return self._store_id

    async def close(self) -> None:
        """Let go of the servers."""
        await self._client.close()

    async def select(self, sql: str, parameters: Sequence[object] = (), *, level: Level = Level.WEAK) -> Table:
        """See `store.port.Store.select`. `level` says how sure the answer is to see what was committed before.

        The answer is JSON: a whole number may have been a REAL, and text that is no UTF-8 is replaced. Of two columns
        of one name the second gets a number.
        """
        return await select(self._client, self._limits, sql, parameters, level)

    def still(self) -> AbstractAsyncContextManager[Reads]:
        """See `store.port.Stills.still`. Errors: `unreachable`, `limit_exceeded` when there is no room for a copy."""
        return still(self._client, self._limits)


class RqliteStore(RqliteReading):
    """Adapter of `store.port.Store`. Many may be open on one cluster. Used inside the event loop that opened it.

    What decides is read linearizable, always.
    """

    def __init__(self, client: RqliteClient, store_id: str, writer: RqliteWriter) -> None:
        super().__init__(client, store_id, writer.limits)
        self._writer = writer

    @classmethod
    async def open(
        cls, urls: Sequence[str], plan: Plan, limits: Limits | None = None, bounds: RqliteBounds | None = None
    ) -> RqliteStore:
        """The store on the servers at `urls` (`http://[user:password@]host:port`), created when there is none.

        Errors: `store_machine_mismatch` when it belongs to another machine or other laws, `store_schema_future` when
        a newer relmachine wrote it, `unreachable` when no majority of the servers answers.
        """
        client = RqliteClient(urls, bounds or RqliteBounds())
        try:
            store_id = await settle_schema(client, plan)
        except BaseException:
            await client.close()
            raise
        return cls(client, store_id, RqliteWriter(client, plan, limits or Limits()))

    @property
    def fence_refusals(self) -> int:
        """How many of this store's requests the fence in the schema rolled back. Table `fence_refusals` has all."""
        return self._writer.fence_refusals

    async def close(self) -> None:
        """Finish what runs and let go."""
        await self._writer.close()
        await super().close()

    async def calm(self) -> None:
        """See `store.port.Store.calm`. The servers say nothing of what others send."""

    async def states(self, threads: Sequence[str]) -> Mapping[str, ThreadState]:
        """See `store.port.Store.states`. Errors, here and below: `unreachable`."""
        return states_of(await self._client.rows((STATES, asked(threads))))

    async def receipts(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Receipt]:
        """See `store.port.Store.receipts`."""
        return receipts_of(await self._client.rows((RECEIPTS, asked(keys))))

    async def contributions(self, thread: str, fields: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """See `store.port.Store.contributions`."""
        return contributions_of(fields, await self._client.rows((CONTRIBUTIONS, thread, asked(fields))))

    async def deciding(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[tuple[object, ...]]:
        """See `store.port.Store.deciding`."""
        return await self._client.rows((sql, *parameters))

    async def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow] = ()) -> Sequence[CommitOutcome]:
        """See `store.port.Store.commit`. Large ones go in several transactions, a thread never.

        A proposal is `Committed` also when an attempt whose outcome was not known turns out to have made it durable.
        One of more than `RqliteBounds.commit_bytes_max` bytes is `TooLarge`.
        Errors: `unreachable`, after which it may be durable or not; `limit_exceeded`.
        """
        failed = await self._writer.commit(proposals, sent)
        threads = [proposal.before.thread for proposal in proposals]
        return [failed.get(thread) or Committed(thread) for thread in threads]

    async def keep_draft(self, draft: Draft) -> None:
        """See `store.port.Store.keep_draft`."""
        await self._writer.keep_draft(draft)

    def expecting(self) -> AbstractContextManager[None]:
        """See `store.port.LaneStore.expecting`. The servers order what they are sent."""
        return nullcontext()

    async def control(self, asked: Sequence[Asked]) -> Sequence[Effect]:
        """See `store.port.Store.control`. Used inside the event loop that opened the store, as all of it."""
        return await take(self._client, asked) if asked else []

    async def foretell(self, told: Sequence[Foretold]) -> None:
        """See `store.port.Store.foretell`."""
        await foretell(self._client, told)

    async def unsent(
        self, limit: int, threads: Sequence[str] | None = None, bytes_max: int = UNSENT_BYTES_MAX
    ) -> Sequence[OutboxRow]:
        """See `store.port.Store.unsent`."""
        named = None if threads is None else asked(threads)
        return outbox_of(await self._client.rows((UNSENT, limit, named, bytes_max)))


async def open_reading(
    urls: Sequence[str], limits: Limits | None = None, bounds: RqliteBounds | None = None
) -> RqliteReading:
    """The store on the servers at `urls`, to look at. Errors: `not_found` without one, `store_schema_future`."""
    client = RqliteClient(urls, bounds or RqliteBounds())
    try:
        meta = await read_meta(client)
    except BaseException:
        await client.close()
        raise
    return RqliteReading(client, meta["store_id"], limits or Limits())
