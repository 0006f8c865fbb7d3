"""The store of a node: a file of its own, or one that is replicated on servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relmachine.store.file_order import FileOrder
from relmachine.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from relmachine.machine.plan import Plan
    from relmachine.node.settings import Settings
    from relmachine.store.rqlite.store import RqliteStore

STORE_FILE = "store.db"
"""The embedded store's file in the data folder."""


async def open_store(settings: Settings, plan: Plan) -> SqliteStore | RqliteStore:
    """The replicated store when the node is told of its servers, else a file of its own. Errors: see `Node.running`."""
    if not settings.store_urls:
        path = settings.data_dir / STORE_FILE
        order = FileOrder(path) if settings.control_lane == "process" else None
        return SqliteStore.open(path, plan, settings.limits, order)
    from relmachine.store.rqlite.store import RqliteStore  # its client comes with the extra "cluster"

    return await RqliteStore.open(settings.store_urls, plan, settings.limits, settings.rqlite_bounds)
