"""The servers of a replicated store as an administrator works on them: see `store.admin`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.admin import refused_write
from relmachine.store.port import Table
from relmachine.store.rqlite import dbapi
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.level import Level
from relmachine.store.rqlite.selecting import OUT_OF_TIME, bounded
from relmachine.store.statement import refusal


class RqliteAdmin:
    """Adapter of `store.admin.Admin` on the servers at `urls`; each statement goes to the first of them that takes it.

    Servers pass on to their leader what they cannot answer, but at level `none`. No connection outlasts its statement.
    """

    def __init__(self, urls: Sequence[str], limits: Limits, level: Level, bounds: RqliteBounds | None = None) -> None:
        assert urls, "a replicated store has at least one address"
        self.urls, self._limits, self._level = tuple(urls), limits, level
        self._bounds = bounds or RqliteBounds()

    @property
    def level(self) -> str:
        """See `store.admin.Admin.level`."""
        return f"reads are {self._level}"

    def close(self) -> None:
        """See `store.admin.Admin.close`."""

    def read(self, sql: str) -> Table:
        """See `store.admin.Admin.read`. Values come as JSON: see `rqlite.store.RqliteReading.select`."""
        seconds, rows_max = self._limits.query_seconds_max, self._limits.query_rows_max
        bounds = dbapi.Bounds(
            seconds + self._bounds.attempt_seconds_max,
            self._bounds.answer_bytes_max,
            {"db_timeout": f"{round(1000 * seconds)}ms"},
        )
        table = self._answer(sql, bounded(sql, rows_max), bounds)
        if len(table.rows) > rows_max:
            sentence = f"the answer has more than {rows_max} rows: add a LIMIT or a WHERE"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_rows_max=rows_max)
        return table

    def _answer(self, sql: str, query: str, bounds: dbapi.Bounds) -> Table:
        """The answer of the first server that has one."""
        said = ""
        for url in self.urls:
            try:
                return dbapi.ask(url, query, self._level, bounds)
            except dbapi.SaidNoError as no:
                if str(no) in OUT_OF_TIME:
                    seconds = self._limits.query_seconds_max
                    sentence = f"the query takes more than {seconds:g} s: ask for less"
                    raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_seconds_max=seconds) from no
                raise refusal(sql, str(no)) from no
            except (dbapi.AwayError, dbapi.NoTellingError) as error:
                said = f"{_place(url)}: {error}"
        raise self._unreachable("no server answers: check that most of them run, or ask with `--level none`", said)

    def write(self, sql: str) -> int:
        """See `store.admin.Admin.write`. It is sent to one server, once."""
        bounds = dbapi.Bounds(self._bounds.attempt_seconds_max, self._bounds.answer_bytes_max)
        said = ""
        for url in self.urls:
            try:
                return dbapi.change(url, sql, bounds)
            except dbapi.SaidNoError as no:
                raise refused_write(str(no)) from no
            except dbapi.NoTellingError as error:
                sentence = "nobody can tell whether this was written, or will be yet: look before you send it again"
                raise self._unreachable(sentence, f"{_place(url)}: {error}") from error
            except dbapi.AwayError as error:
                said = f"{_place(url)}: {error}"
        raise self._unreachable("nothing was changed, no server takes it: check that most of them run", said)

    def _unreachable(self, sentence: str, detail: str) -> RelmError:
        return RelmError(Code.UNREACHABLE, sentence, urls=[_place(url) for url in self.urls], detail=detail)


def _place(url: str) -> str:
    """The address without its login."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"
