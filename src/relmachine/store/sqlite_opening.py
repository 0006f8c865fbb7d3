"""Opening a store's SQLite file: creating it once, and refusing one that belongs to something else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.opening import (
    SCHEMA,
    birth,
    check_machine,
    check_schema_version,
    description,
    plan_row,
    statements,
)
from relmachine.store.tables import insert

SQLITE_VERSION_MIN = (3, 38, 0)
"""First SQLite with the JSON operators that the schema uses."""

BUSY_SECONDS_MAX = 10.0
"""How long a writer waits for another process that writes to the same file."""

CHECKPOINT_PAGES = 8192
"""Pages in the log from which on whoever commits moves them into the file."""

CHECKPOINT_PAGES_OF_NODES = 4 * CHECKPOINT_PAGES
"""The same for a node's data, of which most is moved between commits: what nobody counts there, as drafts of runs."""

_CACHE_KIB = 65_536
_STATEMENTS_KEPT = 512


def connect_writer(path: Path, checkpoint_pages: int = CHECKPOINT_PAGES) -> sqlite3.Connection:
    """A connection that writes: WAL, synchronous=FULL, foreign keys on; transactions are begun by hand. A commit that
    leaves so many pages in the log moves them into the file; with 0 of them none does.

    Errors: `unreachable` when the file cannot be opened or is no database.
    """
    check_sqlite()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS_MAX,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS_KEPT,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        # Random pages of several commits then go from the log to the file in one pass.
        connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")
    except (sqlite3.Error, OSError) as error:
        raise unreachable(path, error) from error
    return connection


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Errors: `unreachable` when the SQLite that Python was built with is older than `SQLITE_VERSION_MIN`."""
    if version < SQLITE_VERSION_MIN:
        found, needed = (".".join(map(str, parts)) for parts in (version, SQLITE_VERSION_MIN))
        sentence = f"this Python has SQLite {found}: use one with SQLite {needed} or newer (`uv python install`)"
        raise RelmError(Code.UNREACHABLE, sentence, sqlite=found, sqlite_min=needed)


def unreachable(path: Path, error: Exception) -> RelmError:
    """What a failing file means to its user."""
    sentence = f"the store {path} cannot be used: check that its folder exists, is writable and has space"
    return RelmError(Code.UNREACHABLE, sentence, path=str(path), detail=str(error))


def refusal(path: Path, error: sqlite3.IntegrityError) -> RelmError:
    """What it means when the store refuses a row of our own."""
    sentence = "the store holds something else where this row belongs: `relm verify` tells what somebody changed"
    return RelmError(Code.INTERNAL, sentence, path=str(path), detail=str(error))


def settle_schema(connection: sqlite3.Connection, path: Path, plan: Plan) -> None:
    """Create what is missing, for `plan`, in one transaction.

    Errors: `store_schema_future`, `store_machine_mismatch`, `unreachable`; `internal` when the plan's digest is that of
    another plan there.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not has_schema(connection):
                for statement in statements(SCHEMA.read_text(encoding="utf-8")):
                    connection.execute(statement)
                _describe(connection, plan)
            check_machine(read_meta(connection), plan)
            insert(connection, tables.PLANS, [plan_row(plan)])
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    except sqlite3.IntegrityError as error:
        raise refusal(path, error) from error
    except sqlite3.Error as error:
        raise unreachable(path, error) from error


def has_schema(connection: sqlite3.Connection) -> bool:
    """Whether the file holds a store."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None


def read_meta(connection: sqlite3.Connection) -> dict[str, str]:
    """The `meta` table. Errors: `store_schema_future` when a newer relmachine wrote the file."""
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    check_schema_version(meta)
    return meta


def _describe(connection: sqlite3.Connection, plan: Plan) -> None:
    insert(connection, tables.META, birth(plan))
    for target, rows in description(plan).items():
        insert(connection, target, rows)
