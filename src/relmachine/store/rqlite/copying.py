"""The replicated store as it was at one moment: a copy in a file of ours, taken from the servers' own file.

Servers keep no transaction open from one request to the next, so many questions about one moment cannot be asked of
them. They do hand out their file, consistent, while others write. Being the file itself, it also shows what JSON loses.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.port import Reads
from relmachine.store.rqlite.answers import Refused, Unknown, refusal
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.level import Level
from relmachine.store.sqlite import SqliteReading

# Both only rise. A server that takes itself for the leader, or has not written all of its log into its file, hands out
# a file from before what was asked here.
_PROGRESS = "SELECT count(*), coalesce(sum(seq), 0) FROM threads"


@asynccontextmanager
async def still(client: RqliteClient, limits: Limits) -> AsyncGenerator[Reads]:
    """The store with everything that was acknowledged before, whatever is committed in the meantime.

    The copy lies in the folder for temporary files (TMPDIR) while the context lasts, and takes as much room as the
    store. Errors: `unreachable`, `limit_exceeded` beyond `RqliteBounds.copy_bytes_max` or the room there is.
    """
    with tempfile.TemporaryDirectory(prefix="relm-still-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "store.db"
        reading = await _taken(client, path, limits)
        try:
            yield reading
        finally:
            await reading.close()


async def _taken(client: RqliteClient, path: Path, limits: Limits) -> SqliteReading:
    """A copy that is not older than now."""
    patience, is_older = client.patience(), False
    least = await _progress(client)
    while True:
        match await _copied(client, path, rewritten=is_older):
            case Refused() as no:
                raise refusal(no)
            case Unknown(detail):
                await patience.wait(detail)
                continue
            case None:
                pass
        reading = await asyncio.to_thread(SqliteReading, path, limits)
        try:
            if least is None or await _is_new(reading, least):
                return reading
        except BaseException:
            await reading.close()
            raise
        await reading.close()
        is_older = True
        await patience.wait("the servers' file is older than what they have acknowledged")


async def _progress(client: RqliteClient) -> tuple[int, int] | None:
    """How far the threads are now, linearizable; None when their table cannot be read, which is for others to tell."""
    answer = await client.read([(_PROGRESS,)], Level.LINEARIZABLE)
    return None if isinstance(answer, Refused) else cast("tuple[int, int]", answer.tables[0].rows[0])


async def _is_new(copy: SqliteReading, least: tuple[int, int]) -> bool:
    try:
        threads, steps = cast("tuple[int, int]", (await copy.select(_PROGRESS)).rows[0])
    except RelmError as error:
        if error.code is not Code.QUERY_REFUSED:
            raise
        return True
    return threads >= least[0] and steps >= least[1]


async def _copied(client: RqliteClient, path: Path, *, rewritten: bool) -> Refused | Unknown | None:
    try:
        with path.open("wb") as file:
            return await client.copy(file, rewritten=rewritten)
    except OSError as error:
        sentence = "there is no room for a copy of the store: name a folder that has it in TMPDIR"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, folder=str(path.parent.parent), detail=str(error)) from error
