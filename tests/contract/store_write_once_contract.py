"""Goal: what is written once stays, also for those who go round the code.
Method: tests that every store adapter inherits."""

from __future__ import annotations

import pytest

from relmachine.kernel.limits import Limits
from relmachine.store.port import Store
from tests.contract.store_contract import HALF_A_TURN, WRITE_ONCE, StoreContract, everything
from tests.contract.store_turns import Desk

_EVENT = "genesis, step, step_key, 9, '{}', payload_digest, contributions_digest, parents, plan_digest, lifecycle"
REPLACING = (
    f"events SELECT event_id, {_EVENT}, verdicts, NULL FROM events",
    f"events SELECT 'x', {_EVENT}, verdicts, number FROM events",
    "histories SELECT history_id, 9, 9, normal_form_ref, fiber_id, 'x', thread, seq, 0, NULL FROM histories",
    "histories SELECT 'x', 9, 9, normal_form_ref, fiber_id, 'x', thread, seq, 0, number FROM histories",
    "thread_events SELECT thread, seq, event_id, 'x', evidence, place FROM thread_events",
    "event_contributions SELECT event, field, '\"x\"' FROM event_contributions",
    "history_extensions SELECT target, step, 'x' FROM history_extensions",
    "receipts SELECT thread, step_key, step, payload_digest, seq, 'x' FROM receipts",
    "rejections SELECT thread, seq, step, step_key, gate, 'x', sentence, witness, lifecycle FROM rejections",
    "transitions SELECT thread, seq, claim, 'superseded', history_before, history_after FROM transitions",
    "commits SELECT thread, from_head, from_seq, epoch, 'x', to_seq FROM commits",
    "meta SELECT key, 'x' FROM meta",
    "outbox SELECT thread, seq, kind, 'x' FROM outbox",
    "threads SELECT thread, label, 'x', 0, 0, state, 0, 0 FROM threads",
    "plans SELECT plan_digest, machine, version, laws_digest, matrix_digest, 'x' FROM plans",
    "plans (rowid, plan_digest, machine, version, laws_digest, matrix_digest, declaration)"
    " SELECT rowid, 'x', machine, version, laws_digest, matrix_digest, 'x' FROM plans",
    "section_snapshots SELECT history_id, '{}', thread, seq, depth FROM section_snapshots",
    "section_snapshots (rowid, history_id, section_data, thread, seq, depth)"
    " SELECT rowid, 'x', '{}', thread, seq, depth FROM section_snapshots",
    "steps SELECT name, 99, 'x' FROM steps",
    "accord_fields SELECT field, 'x', 'x' FROM accord_fields",
    "fibers SELECT fiber_id, 99 FROM fibers",
    "fiber_points SELECT fiber_id, position, 'x', 'x', 0, 0 FROM fiber_points",
    "fiber_meet SELECT fiber_id, a, b, 99 FROM fiber_meet",
    "fiber_join SELECT fiber_id, a, b, 99 FROM fiber_join",
    "fiber_impl SELECT fiber_id, a, b, 99 FROM fiber_impl",
    "nuclei SELECT fiber_id, elem, 99, 99 FROM nuclei",
)
CONTENT_ADDRESSED = (
    "events",
    "histories",
    "event_contributions",
    "history_extensions",
    "plans",
    "steps",
    "commutation",
    "accord_fields",
    "fibers",
    "fiber_points",
    "fiber_elements",
    "fiber_meet",
    "fiber_join",
    "fiber_impl",
    "nuclei",
    "section_snapshots",
    "claims",
    "contributions",
    "extensions",
)


class WriteOnceContract(StoreContract):
    @pytest.mark.parametrize("table", WRITE_ONCE)
    def test_what_is_written_stays(self, table: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            before = (await store.select(f"SELECT * FROM {table}")).rows
            assert before
            column = WRITE_ONCE[table]
            for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
                assert f"write_once: {table}" in self.raw(statement)
            assert (await store.select(f"SELECT * FROM {table}")).rows == before

        self.run(test, Limits(section_snapshot_every=1))

    def test_a_written_row_cannot_be_replaced_by_another(self) -> None:
        # REPLACE deletes the old row without asking the delete triggers.
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            before = await everything(store)
            for statement in REPLACING:
                self.raw(f"INSERT OR REPLACE INTO {statement}")
                assert await everything(store) == before, statement
            assert "write_once: outbox" in self.raw("UPDATE outbox SET body = 'x'")
            assert await everything(store) == before

        self.run(test, Limits(section_snapshot_every=1))

    @pytest.mark.parametrize("table", CONTENT_ADDRESSED)
    def test_what_is_addressed_by_content_may_come_again(self, table: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            before = await everything(store)
            columns = (await store.select(f"SELECT * FROM {table} LIMIT 0")).columns
            made_up = "number" if table in ("events", "histories") else ""
            names = ", ".join(name for name in columns if name != made_up)
            assert self.raw(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}") == ""
            assert await everything(store) == before

        self.run(test, Limits(section_snapshot_every=1))

    def test_an_event_without_its_parents_is_refused(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            columns = "step, step_key, tier, payload, payload_digest, contributions_digest"
            orphan = (
                f"INSERT INTO events SELECT 'x', genesis, {columns}, '[\"missing\"]', plan_digest, lifecycle, verdicts,"
                " NULL FROM events LIMIT 1"
            )
            assert self.raw(orphan) in ("an event comes after its parents", "outside a commit: events")
            for statement in HALF_A_TURN:
                assert self.raw(statement) == ""
            assert self.raw(orphan) == "an event comes after its parents"
            assert self.raw(orphan.replace('["missing"]', "[]")) == ""

        self.run(test)
