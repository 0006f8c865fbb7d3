"""Opening the replicated store: created once, by whichever node comes first, and refused when it belongs elsewhere."""

from __future__ import annotations

from typing import cast

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
from relmachine.store.rqlite.answers import Refused, Unknown, refusal
from relmachine.store.rqlite.client import RqliteClient, Statement
from relmachine.store.rqlite.statements import inserts

_HAS_SCHEMA = "SELECT 1 FROM sqlite_master WHERE name = 'meta'"
_META = "SELECT key, value FROM meta"
_HAS_PLAN = "SELECT 1 FROM plans WHERE plan_digest = ?"


async def settle_schema(client: RqliteClient, plan: Plan) -> str:
    """Create what is missing, for `plan`; returns the store's id.

    Of two nodes that create at once one succeeds and the other finds what it made: the tables come in one transaction.
    Errors: `store_schema_future`, `store_machine_mismatch`, `unreachable`.
    """
    patience = client.patience()
    while not await client.rows((_HAS_SCHEMA,)):
        answer = await client.write(_creation(plan, client.bounds.value_bytes_max))
        if await client.rows((_HAS_SCHEMA,)):
            break
        if isinstance(answer, Refused):
            raise refusal(answer)
        await patience.wait(str(answer))
    meta = await read_meta(client)
    check_machine(meta, plan)
    while not await client.rows((_HAS_PLAN, plan.digest)):
        answer = await client.write(inserts(tables.PLANS, [plan_row(plan)], client.bounds.value_bytes_max))
        if isinstance(answer, Refused):
            raise refusal(answer)
        if isinstance(answer, Unknown):
            await patience.wait(answer.detail)
    return meta["store_id"]


async def read_meta(client: RqliteClient) -> dict[str, str]:
    """The `meta` table. Errors: `not_found` where there is no store, `store_schema_future`, `unreachable`."""
    if not await client.rows((_HAS_SCHEMA,)):
        sentence = "these servers hold no store: start a node on them first"
        raise RelmError(Code.NOT_FOUND, sentence, urls=list(client.urls))
    meta = dict(cast("tuple[tuple[str, str], ...]", await client.rows((_META,))))
    check_schema_version(meta)
    return meta


def _creation(plan: Plan, bytes_max: int) -> list[Statement]:
    made: list[Statement] = [(statement,) for statement in statements(SCHEMA.read_text(encoding="utf-8"))]
    made += inserts(tables.META, birth(plan), bytes_max)
    for target, rows in description(plan).items():
        made += inserts(target, rows, bytes_max)
    return made
