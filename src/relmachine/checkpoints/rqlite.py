"""Checkpoints on replicated rqlite servers. Reads are linearizable: a run goes on from what was acknowledged."""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.checkpoints.database import Row, Statement, creation
from relmachine.errors import Code, RelmError
from relmachine.store.rqlite.answers import Done, Refused, refusal
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient


class RqliteCheckpoints:
    """Adapter of `database.Database`. Made by `open`, on the event loop that it is used on."""

    def __init__(self, client: RqliteClient) -> None:
        self._client = client

    @classmethod
    async def open(cls, urls: Sequence[str], bounds: RqliteBounds) -> RqliteCheckpoints:
        """The checkpoints on the servers at `urls`, created when there are none. Errors: `unreachable`."""
        made = cls(RqliteClient(urls, bounds))
        try:
            await made.write(creation())
        except BaseException:
            await made.close()
            raise
        return made

    async def rows(self, statement: Statement) -> Sequence[Row]:
        """See `Database.rows`."""
        return await self._client.rows(statement)

    async def write(self, statements: Sequence[Statement]) -> None:
        """See `Database.write`. What nobody knows the outcome of is sent again: every statement is idempotent."""
        self._check(statements)
        patience = self._client.patience()
        while not isinstance(answer := await self._client.write(statements), Done):
            if isinstance(answer, Refused):
                raise refusal(answer)
            await patience.wait(answer.detail)

    async def close(self) -> None:
        """See `Database.close`."""
        await self._client.close()

    def _check(self, statements: Sequence[Statement]) -> None:
        longest = self._client.bounds.request_bytes_max
        size = sum(len(str(value).encode()) for statement in statements for value in statement)
        if size > longest:
            sentence = (
                f"keep less in the graph's state: what changed in one step has {size} bytes, {longest} may be sent"
            )
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, request_bytes_max=longest, bytes=size)
