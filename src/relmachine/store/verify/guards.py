"""Whether a store's tables, views, triggers and indexes are those of the schema.

No trigger can stop somebody who drops triggers, or who writes `sqlite_schema` itself; this tells that it was done.
Tables of LangGraph checkpoints may stand beside those of the store.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

from relmachine.store.opening import CHECKPOINTS_SCHEMA, SCHEMA
from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, elsewhere

_OBJECTS = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1"


async def guards(store: Reads) -> Fault | None:
    """The first part of the schema that is missing, strange or otherwise than `schema.sql` has it; None when whole."""
    found = {str(name): str(sql) for name, sql in (await store.select(_OBJECTS)).rows}
    own, beside = _objects(SCHEMA), _objects(CHECKPOINTS_SCHEMA)
    for name, sql in own.items():
        if found.get(name) != sql:
            return elsewhere(f"schema: {name}", found.get(name, ""), sql)
    for name in sorted(found.keys() - own.keys()):
        if found[name] != beside.get(name):
            return elsewhere(f"schema: {name} is not part of it", found[name])
    return None


@cache
def _objects(schema: Path) -> dict[str, str]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(schema.read_text(encoding="utf-8"))
        return dict(connection.execute(_OBJECTS).fetchall())
    finally:
        connection.close()
