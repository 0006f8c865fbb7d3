"""Goal: every adapter of `Store` keeps the same promises. Method: one class of tests, inherited per adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import dump_state
from relmachine.machine.plan import Plan
from relmachine.store import reading
from relmachine.store.port import Committed, Stale, Store
from tests.contract.store_turns import Desk, desk

CONTENT = ("events", "histories", "claims", "contributions", "extensions", "receipts", "rejections", "transitions")

WRITE_ONCE = {
    "meta": "value",
    "plans": "declaration",
    "steps": "kind",
    "commutation": "step_b",
    "accord_fields": "reducer",
    "fibers": "points",
    "fiber_points": "up",
    "fiber_elements": "elem",
    "fiber_meet": "result",
    "fiber_join": "result",
    "fiber_impl": "result",
    "nuclei": "saturate",
    "events": "payload",
    "histories": "section_digest",
    "thread_events": "history_id",
    "event_claims": "claim",
    "event_contributions": "value",
    "history_extensions": "source",
    "commits": "to_head",
    "receipts": "outcome",
    "rejections": "code",
    "transitions": "kind",
    "section_snapshots": "section_data",
}


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


class StoreContract:
    """Adapters say how a store is opened and how somebody writes to it who goes round the code."""

    def open(self, plan: Plan, limits: Limits | None = None) -> Awaitable[Store]:
        """Open the one store of the test, again each time it is called."""
        raise NotImplementedError

    def raw(self, statement: str) -> str:
        """Run `statement` beside the code; returns the error's text, empty when it went through."""
        raise NotImplementedError

    def run(self, test: Callable[[Store, Desk], Awaitable[None]], limits: Limits | None = None) -> None:
        """Run `test` on a store of the desk machine."""
        asyncio.run(self._run(test, limits))

    async def _run(self, test: Callable[[Store, Desk], Awaitable[None]], limits: Limits | None) -> None:
        made = Desk.new()
        store = await self.open(made.plan, limits)
        try:
            await test(store, made)
        finally:
            await store.close()

    def test_a_commit_is_visible_and_survives_reopening(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            proposal = made.opening("a")
            assert await store.commit([proposal]) == [Committed("a")]
            store_id = store.store_id
            await store.close()
            again = await self.open(made.plan)
            assert again.store_id == store_id
            state = (await again.states(["a", "nobody"]))["a"]
            assert (state.head, state.cursor) == (proposal.after.head, proposal.after.cursor)
            assert dump_state(state) == dump_state(proposal.after)
            for table in CONTENT:
                stored = (await again.select(f"SELECT * FROM {table}")).rows
                expected = [tuple(row) for row in getattr(proposal, table)]
                assert sorted(row[: len(expected[0])] for row in stored) == sorted(expected), table
            await again.close()

        self.run(test)

    def test_states_of_no_thread_are_none(self) -> None:
        async def test(store: Store, _made: Desk) -> None:
            assert await store.states(["a"]) == {}
            assert await store.states([]) == {}

        self.run(test)

    @pytest.mark.parametrize("change", [{"head": "0" * 64}, {"cursor": 1}, {"epoch": 1}])
    def test_a_proposal_from_elsewhere_is_stale(self, change: dict[str, object]) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            good = made.notes("a", 1)
            bad = replace(good, before=replace(good.before, **change))
            assert await store.commit([bad]) == [Stale("a")]
            assert (await store.select("SELECT count(*) FROM events")).rows == ((2,),)
            assert await store.commit([good]) == [Committed("a")]

        self.run(test)

    @pytest.mark.parametrize("change", [{"head": "0" * 64}, {"cursor": 1}, {"epoch": 1}])
    def test_a_new_thread_starts_at_its_genesis(self, change: dict[str, object]) -> None:
        async def test(store: Store, made: Desk) -> None:
            good = made.opening("a")
            assert await store.commit([replace(good, before=replace(good.before, **change))]) == [Stale("a")]
            assert (await store.select("SELECT count(*) FROM threads")).rows == ((0,),)

        self.run(test)

    def test_the_same_proposal_again_is_stale_and_changes_nothing(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            proposal = made.opening("a")
            await store.commit([proposal])
            before = await _counts(store)
            assert await store.commit([proposal]) == [Stale("a")]
            assert await _counts(store) == before

        self.run(test)

    def test_a_turn_that_only_refuses_is_fenced(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.turn("a", made.steps.refused("a", "check"))
            assert await store.commit([first]) == [Committed("a")]
            assert first.after.head == first.before.head
            assert await store.commit([first]) == [Stale("a")]
            assert (await store.select("SELECT count(*) FROM rejections")).rows == ((1,),)

        self.run(test)

    def test_one_stale_among_many_fails_alone(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.opening("b")
            await store.commit([first])
            proposals = [made.opening("a"), first, made.opening("c")]
            outcomes = await store.commit(proposals)
            assert outcomes == [Committed("a"), Stale("b"), Committed("c")]
            assert set(await store.states(["a", "b", "c"])) == {"a", "b", "c"}

        self.run(test)

    def test_two_stores_on_one_place_race(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            other = await self.open(made.plan)
            rival = Desk.new(made.plan)
            rival.steps.source = "rival"
            wins = 0
            for _ in range(20):
                ours, theirs = made.notes("a", 2), rival.notes("a", 2)
                outcomes = await asyncio.gather(store.commit([ours]), other.commit([theirs]))
                committed = [isinstance(answer[0], Committed) for answer in outcomes]
                assert sorted(committed) == [False, True]
                winner = made if committed[0] else rival
                wins += committed[0]
                for loser in (made, rival):
                    loser.states = dict(winner.states)
                    loser.steps.sequence = max(made.steps.sequence, rival.steps.sequence)
            assert (await store.select("SELECT count(*) FROM thread_events")).rows == ((40,),)
            await other.close()

        self.run(test)

    def test_a_fenced_thread_takes_nothing(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            assert self.raw("UPDATE threads SET fenced = 1") == ""
            assert await store.commit([made.notes("a", 1)]) == [Stale("a")]

        self.run(test)

    def test_receipts_are_found_by_key(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            proposal = made.opening("a")
            await store.commit([proposal, made.opening("b")])
            keys = [(row.thread, row.step_key) for row in proposal.receipts]
            found = await store.receipts([*keys, ("a", "unknown"), ("nobody", keys[0][1])])
            assert set(found) == set(keys)
            for row in proposal.receipts:
                receipt = found[row.thread, row.step_key]
                assert (receipt.sequence, receipt.outcome, receipt.payload_digest) == (
                    row.seq,
                    row.outcome,
                    row.payload_digest,
                )

        self.run(test)

    def test_contributions_come_in_subject_order(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a"), made.opening("b", "zoe")])
            await store.commit([made.notes("a", 12)])
            found = await store.contributions("a", ["log", "union", "once"])
            assert found["log"] == [f'"entry {i}"' for i in range(12)]
            assert (found["union"], found["once"]) == (['"ann"', '"bob"'], [])

        self.run(test)

    def test_unsent_rows_come_oldest_first_until_sent(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first, second = made.opening("b"), made.opening("a")
            await store.commit([second, first])
            rows = [*first.outbox, *second.outbox]
            found = await store.unsent(100)
            assert sorted(found) == sorted(rows)
            assert [row.seq for row in found] == sorted(row.seq for row in rows)
            assert await store.unsent(2) == found[:2]
            assert list(await store.unsent(100, ["a", "nobody"])) == [row for row in found if row.thread == "a"]
            assert list(await store.unsent(100, [])) == []
            assert await store.commit([made.notes("a", 1)], found[:2]) == [Committed("a")]
            assert [row for row in await store.unsent(100) if row in rows] == found[2:]
            assert await store.commit([], await store.unsent(100)) == []
            assert await store.unsent(100) == []

        self.run(test)

    def test_what_left_is_dropped_even_when_the_proposals_are_stale(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.opening("a")
            await store.commit([first])
            assert await store.commit([first], first.outbox) == [Stale("a")]
            assert await store.unsent(10) == []

        self.run(test)

    def test_messages_of_a_node_that_died_are_there_for_another_until_somebody_sent_them(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.opening("a")
            await store.commit([first, made.opening("b")])
            await store.close()
            other = await self.open(made.plan)
            second = made.notes("a", 1)
            await other.commit([second])
            found = await other.unsent(100, ["a"])
            assert sorted(found) == sorted([*first.outbox, *second.outbox])
            assert [row.seq for row in found] == sorted(row.seq for row in found)
            assert await other.unsent(100, ["a"]) == found, "reading takes nothing away"
            for _ in range(2):
                await other.commit([], first.outbox)
                assert sorted(await other.unsent(100, ["a"])) == sorted(second.outbox)
            assert {row.thread for row in await other.unsent(100)} == {"a", "b"}
            await other.close()

        self.run(test)

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO meta VALUES ('x', 'y')",
            "UPDATE threads SET epoch = 7",
            "DELETE FROM outbox",
            "DROP TABLE units",
            "CREATE TABLE mine (x)",
            "CREATE TEMP TABLE mine (x)",
            "ATTACH DATABASE ':memory:' AS other",
            "PRAGMA query_only = OFF",
            "PRAGMA user_version = 7",
            "VACUUM",
            "BEGIN IMMEDIATE",
            "SELECT 1; SELECT 2",
            "SELECT load_extension('x')",
            "SELECT nothing FROM nowhere",
            "-- nothing",
            "",
            "SELECT ?",
        ],
    )
    def test_select_only_reads(self, sql: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            before = await _counts(store)
            with pytest.raises(RelmError) as refused:
                await store.select(sql)
            assert refused.value.code is Code.QUERY_REFUSED
            assert await _counts(store) == before

        self.run(test)

    def test_select_answers_with_columns_and_rows(self) -> None:
        async def test(store: Store, _made: Desk) -> None:
            table = await store.select("SELECT 1 AS one, ? AS two", ("text",))
            assert (table.columns, table.rows) == (("one", "two"), ((1, "text"),))

        self.run(test)

    def test_select_is_bounded(self) -> None:
        async def test(store: Store, _made: Desk) -> None:
            count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {} FROM n"
            assert len((await store.select(count.format(50, "i"))).rows) == 50
            # Endless rows meet the bound on rows first: no more are fetched than may be answered.
            bounds = {
                count.format(51, "i"): "query_rows_max",
                count.format(10**9, "i"): "query_rows_max",
                count.format(10**9, "sum(i)"): "query_seconds_max",
            }
            for sql, bound in bounds.items():
                with pytest.raises(RelmError) as refused:
                    await store.select(sql)
                assert refused.value.code is Code.LIMIT_EXCEEDED
                assert bound in str(refused.value.witness)
            assert (await store.select("SELECT 1")).rows == ((1,),)

        self.run(test, Limits(query_rows_max=50, query_seconds_max=0.2))

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
            before = await _everything(store)
            for statement in REPLACING:
                self.raw(f"INSERT OR REPLACE INTO {statement}")
                assert await _everything(store) == before, statement
            assert "write_once: outbox" in self.raw("UPDATE outbox SET body = 'x'")
            assert await _everything(store) == before

        self.run(test, Limits(section_snapshot_every=1))

    @pytest.mark.parametrize("table", CONTENT_ADDRESSED)
    def test_what_is_addressed_by_content_may_come_again(self, table: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            before = await _everything(store)
            columns = (await store.select(f"SELECT * FROM {table} LIMIT 0")).columns
            names = ", ".join(name for name in columns if name != "number")
            assert self.raw(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}") == ""
            assert await _everything(store) == before

        self.run(test, Limits(section_snapshot_every=1))

    def test_the_fence_holds_against_those_who_go_round_the_code(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            assert self.raw("INSERT INTO commits VALUES ('a', 'x', 3, 0, 'y', 9)") == "stale"
            assert self.raw("INSERT INTO commits SELECT thread, head, seq, 1, 'y', 9 FROM threads") == "stale"
            assert self.raw("INSERT INTO commits SELECT thread, head, 0, epoch, 'y', 9 FROM threads") != ""
            assert self.raw("INSERT INTO commits VALUES ('nobody', NULL, 0, 0, 'y', 9)") != ""
            assert self.raw("INSERT INTO commits VALUES ('nobody', 'x', 0, 0, 'y', 9)") == "stale"
            assert self.raw("UPDATE threads SET head = 'x'") == "a thread moves by a commit"
            assert self.raw("UPDATE threads SET seq = seq + 1") == "a thread moves by a commit"
            assert self.raw("UPDATE threads SET epoch = -1") == "an epoch never falls"
            assert "write_once" in self.raw("DELETE FROM threads")
            assert "write_once" in self.raw("UPDATE threads SET thread = 'z'")
            assert "sequence 0" in self.raw("INSERT INTO threads VALUES ('z', 'z', 'x', 0, 5, '{}', 0, 0)")

        self.run(test)

    def test_an_event_without_its_parents_is_refused(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            columns = "step, step_key, tier, payload, payload_digest, contributions_digest"
            orphan = (
                f"INSERT INTO events SELECT 'x', genesis, {columns}, '[\"missing\"]', plan_digest, lifecycle, verdicts,"
                " NULL FROM events LIMIT 1"
            )
            assert self.raw(orphan) == "an event comes after its parents"
            assert self.raw(orphan.replace('["missing"]', "[]")) == ""

        self.run(test)

    def test_another_machine_or_other_laws_are_refused(self) -> None:
        async def test(_store: Store, _made: Desk) -> None:
            for plan in (desk("other"), desk(stricter=True)):
                with pytest.raises(RelmError) as refused:
                    await self.open(plan)
                assert refused.value.code is Code.STORE_MACHINE_MISMATCH

        self.run(test)

    def test_a_store_of_a_later_schema_is_refused(self) -> None:
        async def test(_store: Store, made: Desk) -> None:
            self.raw("DROP TRIGGER meta_update")
            assert self.raw("UPDATE meta SET value = '999' WHERE key = 'schema_version'") == ""
            with pytest.raises(RelmError) as refused:
                await self.open(made.plan)
            assert refused.value.code is Code.STORE_SCHEMA_FUTURE

        self.run(test)

    def test_fibers_are_written_when_first_seen(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a"), made.opening("b")])
            fibers = (await store.select("SELECT points FROM fibers ORDER BY points")).rows
            assert fibers == ((1,), (2,))
            head = (await store.states(["a"]))["a"].head
            fiber = await reading.fiber(store, head)
            assert fiber.points == ("checked", "received")
            rows = (await store.select("SELECT elem FROM fiber_elements WHERE fiber_id = ?", (fiber.fiber_id,))).rows
            assert sorted(row[0] for row in rows) == sorted(fiber.elements(100) or ())
            fixed = (await store.select("SELECT elem FROM fixed_fiber WHERE fiber_id = ?", (fiber.fiber_id,))).rows
            assert sorted(row[0] for row in fixed) == sorted(fiber.fixed_elements(100) or ())

        self.run(test)

    def test_large_fibers_keep_only_their_points(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            listed = (await store.select("SELECT count(DISTINCT fiber_id) FROM fiber_elements")).rows
            assert listed == ((1,),)
            assert (await store.select("SELECT count(DISTINCT fiber_id) FROM fiber_points")).rows == ((2,),)

        self.run(test, Limits(fiber_table_elements_max=2))


async def _counts(store: Store) -> tuple[object, ...]:
    tables = (*CONTENT, "threads", "commits", "outbox", "thread_events", "fibers", "meta")
    return (await store.select(f"SELECT {', '.join(f'(SELECT count(*) FROM {name})' for name in tables)}")).rows[0]


async def _everything(store: Store) -> dict[str, object]:
    names = [*WRITE_ONCE, "threads", "outbox"]
    return {name: (await store.select(f"SELECT * FROM {name}")).rows for name in names}
