"""What `bench.control` asks of the node's store, past the node."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path


def outcomes(db: sqlite3.Connection, numbers: Iterable[str]) -> int:
    """Steps decided of threads whose names begin with one of `numbers` and a hyphen."""
    sql = "SELECT count(*) FROM receipts WHERE thread >= ? AND thread < ?"
    return sum(int(db.execute(sql, (f"{number}-", f"{number}.")).fetchone()[0]) for number in numbers)


def after_fence(store: Path) -> int:
    """Events that came into a thread after it was cancelled, and commits that changed its history."""
    events = "SELECT count(*) FROM thread_stops s JOIN thread_events t ON t.thread = s.thread WHERE t.seq > s.at_seq"
    commits = """SELECT count(*) FROM thread_stops s JOIN commits c ON c.thread = s.thread
        WHERE c.from_seq >= s.at_seq AND c.to_head <> c.from_head"""
    return _count(store, events) + _count(store, commits)


def kept_out(store: Path) -> int:
    """Steps that were refused because their thread was cancelled."""
    return _count(store, "SELECT count(*) FROM rejections WHERE code = 'thread_cancelled'")


def _count(store: Path, sql: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        return int(db.execute(sql).fetchone()[0])
