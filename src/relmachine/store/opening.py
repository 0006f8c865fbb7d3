"""What every store says of itself, wherever it lies: its schema, its machine, and which of them is refused."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from relmachine.algebra.identity import digest
from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.declaration import accord_text, dump_plan
from relmachine.store.tables import Target

SCHEMA_VERSION = 3
"""Version of `schema.sql`, and of the form of ids, that this code reads and writes."""

SCHEMA = Path(__file__).with_name("schema.sql")

CHECKPOINTS_SCHEMA = Path(__file__).with_name("checkpoints.sql")
"""Tables of `relmachine.checkpoints`, which may stand beside a store's own."""


def check_schema_version(meta: Mapping[str, str]) -> None:
    """Errors: `store_schema_future` and `store_schema_past` when a newer or an earlier relmachine made the store with
    these `meta` rows, `store_damaged`.
    """
    version = meta.get("schema_version", "")
    if not (version.isdecimal() and version.isascii() and "store_id" in meta):
        sentence = "the store does not say what it is: restore it from a copy, or rebuild it from the stream"
        raise RelmError(Code.STORE_DAMAGED, sentence, table="meta", names=sorted(meta))
    if int(version) > SCHEMA_VERSION:
        raise RelmError(
            Code.STORE_SCHEMA_FUTURE,
            f"a newer relmachine wrote this store (schema {version}): update relmachine to open it",
            schema_version=int(version),
            schema_version_max=SCHEMA_VERSION,
        )
    if int(version) < SCHEMA_VERSION:
        raise RelmError(
            Code.STORE_SCHEMA_PAST,
            f"an earlier relmachine wrote this store (schema {version}): move it away, and the node builds it again "
            "from its stream",
            schema_version=int(version),
            schema_version_min=SCHEMA_VERSION,
        )


def check_machine(meta: Mapping[str, str], plan: Plan) -> None:
    """Errors: `store_machine_mismatch` when the store with these `meta` rows belongs to another machine or laws."""
    wanted = {"machine": plan.machine, "laws_digest": plan.laws_digest, "matrix_digest": plan.matrix_digest}
    different = {key: [meta.get(key), value] for key, value in wanted.items() if meta.get(key) != value}
    if different:
        raise RelmError(
            Code.STORE_MACHINE_MISMATCH,
            f"this store belongs to machine {meta.get('machine')!r} under other laws: use another data folder, or the "
            "machine it was made with",
            **different,
        )


def birth(plan: Plan) -> list[tuple[object, ...]]:
    """The `meta` rows of a new store that its machine does not fix; the store's id is drawn here."""
    return [
        ("schema_version", str(SCHEMA_VERSION)),
        ("store_id", secrets.token_hex(16)),
        ("version", plan.version),
    ]


def plan_row(plan: Plan) -> tuple[object, ...]:
    """The row of `plan` in the `plans` table."""
    return (plan.digest, plan.machine, plan.version, plan.laws_digest, plan.matrix_digest, dump_plan(plan))


def description(plan: Plan) -> dict[Target, list[tuple[object, ...]]]:
    """What the laws fix, by table: identity, steps, which of them commute, fields."""
    identity = {
        "machine": plan.machine,
        "laws_digest": plan.laws_digest,
        "matrix_digest": plan.matrix_digest,
        "accord_id": digest("accord", plan.machine, accord_text(plan)),
    }
    return {
        tables.META: list(identity.items()),
        tables.STEPS: [(step.name, step.index, str(step.kind)) for step in plan.steps],
        tables.COMMUTATION: [
            (one.name, other.name)
            for one in plan.steps
            for other in plan.steps
            if not plan.dependent[one.index] >> other.index & 1
        ],
        tables.ACCORD_FIELDS: [
            (field.name, str(field.type), str(field.reducer)) for _, field in sorted(plan.fields.items())
        ],
    }


def statements(script: str) -> Iterator[str]:
    """The statements of `script` one by one: running it whole would end the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
