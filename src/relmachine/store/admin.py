"""A store as an administrator works on it at a prompt: one statement after another, each for itself.

Nothing here goes round the schema: its triggers hold for whoever writes, and no statement that could take them away is
let through.
"""

from __future__ import annotations

from typing import Protocol

from relmachine.errors import Code, RelmError
from relmachine.store.port import Table
from relmachine.store.statement import READING, WRITING, statement


class Admin(Protocol):
    """Adapters: `sqlite_admin` for a file, `rqlite.admin` for servers."""

    @property
    def level(self) -> str:
        """How sure reads are, in words."""
        ...

    def read(self, sql: str) -> Table:
        """The answer to one query, within the limits of `store.port.Store.select`.

        Errors: `query_refused`, `limit_exceeded`, `unreachable`.
        """
        ...

    def write(self, sql: str) -> int:
        """Run one statement that changes rows, in a transaction of its own, and return how many it changed.

        Errors: `query_refused` when the store says no, and nothing was changed; `limit_exceeded`; `unreachable` when
        nobody can tell whether it was.
        """
        ...

    def close(self) -> None:
        """Let go."""
        ...


def run(admin: Admin, sql: str, *, writes: bool) -> Table | int:
    """The rows of a query, or the number of rows that a write changed. Errors: those of `Admin`."""
    found = statement(sql)
    if found.verb in READING:
        return admin.read(sql)
    if found.verb not in WRITING:
        sentence = (
            "send a SELECT, INSERT, UPDATE or DELETE: the schema is relmachine's, and a statement is a transaction"
        )
        raise RelmError(Code.QUERY_REFUSED, sentence, statement=found.verb[:20])
    if not writes:
        sentence = "this prompt only reads: end it, and start `relm sql --write` if rows shall change"
        raise RelmError(Code.QUERY_REFUSED, sentence, statement=found.verb)
    return admin.write(found.text)


def refused_write(detail: str) -> RelmError:
    """What it means when the store says no to a write."""
    sentence = "nothing was changed: read what the store says in the witness; what is written once stays as it is"
    return RelmError(Code.QUERY_REFUSED, sentence, detail=detail)
