"""What plain SQL can do to a store beside the code: one class of tests for every store that SQL reaches.

Method: threads of the permit log; every statement runs and is taken back. `docs/triggers.md` lists what goes through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from random import Random

import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.port import Store
from relmachine.store.verify import guards, verify
from tests import permit
from tests.contract.sql_mutations import Cell, Table, accepted, literal
from tests.contract.store_filled import fill
from tests.unit.docs_pages import code, page, rows, section

LIMITS = Limits(fiber_table_elements_max=17, section_snapshot_every=1)
RUNS = {
    "decisions",
    "frozen_plans",
    "iterations",
    "run_answers",
    "run_attempts",
    "run_drafts",
    "run_ends",
    "runs",
    "runs_open",
}
"""Relations of steps that run outside their turn: the permit machine has none."""
NEVER_WRITTEN = RUNS | {"control_effects", "foretold", "held", "held_ends", "peers", "revocations", "units"}
"""Relations that no turn of a machine with claims alone writes."""
OTHERS = {"fence_refusals", "under_way"}
"""Counted by a store that several servers share; empty between transactions."""
OPENED = "INSERT INTO commits SELECT thread, head, seq, epoch, 'next', seq + 5 FROM threads LIMIT 1"
"""A commit under way."""
A_RESOLUTION = "a resolution is of an obstruction"
SNAPSHOT = "a section snapshot is of where a commit ends"


class StoreBySql:
    """Adapters say how a store is opened, asked, and written to by somebody who goes round the code."""

    def open(self, plan: Plan, limits: Limits) -> Awaitable[Store]:
        """Open the one store of the test."""
        raise NotImplementedError

    def asked(self, sql: str) -> list[tuple[Cell, ...]]:
        """The rows that `sql` finds."""
        raise NotImplementedError

    def attempt(self, *statements: str) -> int | str:
        """Run the statements in one transaction and take it back: rows the last one changed, or the first error."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _filled(self, _place: None) -> None:
        async def filled() -> None:
            store = await self.open(permit.plan(), LIMITS)
            await fill(store)
            await store.close()

        asyncio.run(filled())

    def tables(self) -> list[Table]:
        """Every table as it stands."""
        found: list[Table] = []
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        for (name,) in self.asked(names):
            columns = self.asked(f"SELECT name, pk FROM pragma_table_info({literal(name)})")
            held = self.asked(f"SELECT * FROM {name} ORDER BY 1 LIMIT 3000")
            names_of = tuple(str(column) for column, _ in columns)
            key = tuple(str(column) for column, place in columns if place)
            numbered = "number" if name in {"events", "histories"} else None
            found.append(
                Table(str(name), names_of, key, [dict(zip(names_of, row, strict=True)) for row in held], numbered)
            )
        return found

    def test_only_what_the_page_lists_can_be_changed(self) -> None:
        tables = self.tables()
        assert {table.name for table in tables if not table.rows} <= NEVER_WRITTEN | OTHERS
        found = accepted([table for table in tables if table.rows], self.attempt, Random(3))
        ways = {(table, way, column) for (table, way), columns in found.items() for column in columns}
        assert (ways - on_page(), on_page() - ways) == (set(), set())

    @pytest.mark.parametrize(
        "table", ["events", "section_snapshots", "histories", "event_claims", "history_extensions"]
    )
    def test_an_overwrite_is_refused(self, table: str) -> None:
        (found,) = [item for item in self.tables() if item.name == table]
        assert len(found.rows) >= 40
        for key in found.key:
            for statement in (f"UPDATE {table} SET {key} = {key}", f"UPDATE OR REPLACE {table} SET {key} = {key}"):
                assert self.attempt(statement) == f"write_once: {table}"
        assert self.attempt(f"DELETE FROM {table}") == f"write_once: {table}"
        if table != "event_claims":  # all of it is key: a row is replaced by itself
            replaced = self.attempt(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
            assert replaced in (0, f"write_once: {table}")

    def test_views_are_no_way_round(self) -> None:
        for view in ("claims", "contributions", "extensions"):
            assert isinstance(self.attempt(f"DELETE FROM {view}"), str)
            assert isinstance(self.attempt(f"UPDATE {view} SET rowid = 1"), str)
        assert self.attempt("INSERT INTO claims SELECT event_id, 'sent', 'veto' FROM events LIMIT 1") == (
            "sealed: event_claims"
        )
        assert self.attempt("INSERT OR REPLACE INTO contributions SELECT event_id, 'log', '1' FROM events LIMIT 1") == (
            "sealed: event_contributions"
        )
        assert self.attempt("INSERT INTO claims VALUES ('missing', 'sent', 'assert')") == "missing: events"

    def test_a_commit_on_a_stale_head_is_refused(self) -> None:
        columns = "INSERT INTO commits SELECT thread, {}, {}, {}, 'next', 99 FROM threads LIMIT 1"
        assert self.attempt(columns.format("head", "seq", "epoch")) == 1
        for stale in (("'other'", "seq", "epoch"), ("head", "seq - 1", "epoch"), ("head", "seq", "epoch + 1")):
            assert self.attempt(columns.format(*stale)) == "stale"
            assert self.attempt(columns.format(*stale).replace("INSERT", "INSERT OR REPLACE")) == "stale"
        fits = columns.format("head", "seq", "epoch")
        assert self.attempt(fits, fits.replace("next", "another").replace("INSERT", "INSERT OR REPLACE")) == (
            "write_once: commits"
        )

    def test_a_second_terminal_is_refused(self) -> None:
        refused = self.asked("SELECT thread, seq FROM rejections ORDER BY thread, seq LIMIT 1")[0]
        thread, seq = literal(refused[0]), refused[1]
        opened = (
            f"INSERT INTO commits SELECT thread, head, seq, epoch, 'next', seq + 5 FROM threads WHERE thread = {thread}"
        )
        again = f"SELECT {thread}, (SELECT max(seq) FROM threads WHERE thread = {thread}) + 1"
        place = self._place_column()
        event = f"INSERT INTO thread_events {again}, event_id, history_id, '{{}}'{place} FROM thread_events LIMIT 1"
        rejection = (
            f"INSERT INTO rejections {again}, step, step_key, gate, code, sentence, witness, lifecycle FROM rejections"
            " LIMIT 1"
        )
        assert self.attempt(opened, event) == 1
        assert self.attempt(opened, rejection) == 1
        assert self.attempt(opened, event, rejection) == "terminal: the step was committed"
        assert self.attempt(opened, rejection, event) == "terminal: the step was refused"
        assert self.attempt(opened, rejection, rejection) == "write_once: rejections"
        for phases in ("OPEN>ACTIVE>ABORT>COMMIT>CLOSE", "OPEN>ACTIVE>COMMIT>CLOSE", "OPEN"):
            twice = rejection.replace("lifecycle FROM", f"'{phases}' FROM")
            assert "terminal" in str(self.attempt(opened, twice))
        late = f"INSERT OR REPLACE INTO rejections SELECT {thread}, {seq}, 'x', 'x', 'x', 'x', 'x', '{{}}', ''"
        assert self.attempt(late) in ("outside a commit: rejections", "write_once: rejections")
        receipt = (
            "INSERT OR REPLACE INTO receipts SELECT thread, step_key, step, payload_digest, seq, '{}' FROM receipts"
        )
        assert self.attempt(receipt) in ("outside a commit: receipts", "write_once: receipts")
        copied = "genesis, step, step_key, tier, payload, payload_digest, contributions_digest, parents, plan_digest"
        assert self.attempt(
            opened,
            f"INSERT INTO events SELECT 'new', {copied}, 'OPEN>ACTIVE>COMMIT>COMMIT>CLOSE', verdicts, NULL FROM events"
            " WHERE parents = '[]' LIMIT 1"
        ) == "terminal: an event is a step that was committed, once"  # fmt: skip

    @pytest.mark.parametrize(
        ("insert", "refused"),
        [
            (
                "events SELECT 'new', genesis, step, step_key, 2, '{}', '', '', '[\"missing\"]', plan_digest,"
                " lifecycle, verdicts, NULL FROM events",
                "an event comes after its parents",
            ),
            (
                "events SELECT 'new', genesis, step, step_key, 7, '{}', '', '', '[]', plan_digest, lifecycle, verdicts,"
                " NULL FROM events",
                "an event is one tier above its parents",
            ),
            (
                "events SELECT 'new', 'other', step, step_key, tier + 1, '{}', '', '', json_array(event_id),"
                " plan_digest, lifecycle, verdicts, NULL FROM events",
                "an event has the genesis of its parents",
            ),
            (
                "events SELECT 'new', genesis, step, step_key, 1, '{}', '', '', '[]', 'missing', lifecycle, verdicts,"
                " NULL FROM events",
                "missing: plans",
            ),
            ("fiber_points VALUES ('missing', 0, 'x', '[\"x\"]', 1, 1)", "missing: fibers"),
            ("fiber_points SELECT fiber_id, points, 'x', '[\"x\"]', 1, 1 FROM fibers", "missing: fibers"),
            ("fiber_elements VALUES ('missing', 0)", "missing: fibers"),
            ("fiber_elements SELECT fiber_id, 1 << points FROM fibers ORDER BY points", "sealed: fiber_elements"),
            ("fiber_meet SELECT fiber_id, elem, elem, 999 FROM fiber_elements", "missing: fiber_elements"),
            ("nuclei SELECT fiber_id, 999, elem, elem FROM fiber_elements", "missing: fiber_elements"),
            ("event_claims VALUES (999999, 'sent', 'assert')", "missing: events"),
            ("event_contributions VALUES (999999, 'officers', '\"x\"')", "missing: events"),
            ("history_extensions VALUES (999999, 't02', 'x')", "missing: histories"),
            ("section_snapshots SELECT 'missing', '{}', thread, seq, 1 FROM threads", SNAPSHOT),
            ("steps VALUES ('new', 99, 'process')", "sealed: steps"),
            ("commutation SELECT name, 'new' FROM steps", "sealed: commutation"),
            ("accord_fields VALUES ('new', 'string', 'union')", "sealed: accord_fields"),
            ("meta VALUES ('new', 'x')", "sealed: meta"),
            ("resolutions SELECT 'missing', thread, seq + 1, '', '', '' FROM threads", A_RESOLUTION),
        ],
    )  # fmt: skip
    def test_a_row_without_what_it_needs_is_refused(self, insert: str, refused: str) -> None:
        statement = f"INSERT INTO {insert}" + (" LIMIT 1" if " FROM " in insert else "")
        assert self.attempt(OPENED, statement) == refused
        assert isinstance(self.attempt(statement), str)

    @pytest.mark.parametrize("table", ["thread_events", "receipts", "transitions", "outbox"])
    def test_inside_a_commit_too_no_row_replaces_another(self, table: str) -> None:
        opened = OPENED.replace("LIMIT 1", "WHERE thread NOT IN (SELECT thread FROM controls WHERE record = '_close')")
        (found,) = [item for item in self.tables() if item.name == table]
        columns = ", ".join(found.columns)
        later = ", ".join({"seq": "(SELECT seq + 1 FROM threads t WHERE t.thread = x.thread)"}.get(name, name)
                          for name in found.columns)  # fmt: skip
        row = f"INTO {table} ({columns}) SELECT {later.replace('step_key', '9')} FROM {table} x LIMIT 1"
        assert self.attempt(opened, f"INSERT {row}") == 1
        for way in ("INSERT", "INSERT OR REPLACE"):
            assert self.attempt(opened, f"INSERT {row}", f"{way} {row}") == f"write_once: {table}"

    def test_a_row_for_a_missing_event_or_history_or_fiber_is_refused_inside_a_commit_too(self) -> None:
        opened = OPENED
        place = self._place_column()
        row = f"INSERT INTO thread_events SELECT thread, seq + 1, {{}}, {{}}, '{{{{}}}}'{place} FROM threads LIMIT 1"
        an_event = "(SELECT event_id FROM events LIMIT 1)"
        assert self.attempt(opened, row.format("'missing'", "head")) == "missing: events"
        assert self.attempt(opened, row.format(an_event, "'missing'")) == "missing: histories"
        assert self.attempt(opened, row.format(an_event, "head")) == 1
        assert self.attempt(row.format(an_event, "head")) == "outside a commit: thread_events"
        histories = [str(name) for name, _ in self.asked("SELECT name, 1 FROM pragma_table_info('histories')")]
        new = {"history_id": "'new'", "number": "1000000", "fiber_id": "'missing'"}
        new |= {"thread": "(SELECT thread FROM under_way)", "seq": "(SELECT to_seq FROM under_way)"}
        values = ", ".join(new.get(name, name) for name in histories)
        history = f"INSERT INTO histories SELECT {values} FROM histories WHERE depth = 3 LIMIT 1"
        assert self.attempt(opened, history) == "missing: fibers"
        history = history.replace("'missing'", "fiber_id")
        assert self.attempt(opened, history) == 1
        assert self.attempt(history) == "outside a commit: histories"
        assert self.attempt(opened, history, "INSERT INTO history_extensions VALUES (1000000, 't02', 'missing')") == (
            "missing: histories"
        )
        deeper = "SELECT 1000000, 't02', history_id FROM histories WHERE depth = 5 LIMIT 1"
        assert self.attempt(opened, history, f"INSERT INTO history_extensions {deeper}") == (
            "a history is one deeper than the one it extends"
        )

    def test_a_trigger_that_was_dropped_is_missed(self) -> None:
        """No trigger can keep triggers from being dropped; whoever verifies is told."""

        assert self.told() == ""
        self.alter("DROP TRIGGER events_update")
        assert self.told() == "schema: trigger events_update"

    def told(self) -> str:
        """What `relm verify` finds wrong."""

        async def verified() -> str:
            store = await self.open(permit.plan(), LIMITS)
            try:
                fault = (await verify(store)).fault or await guards(store)
                return "" if fault is None else fault.differs
            finally:
                await store.close()

        return asyncio.run(verified())

    def alter(self, statement: str) -> None:
        """Run one statement and keep it."""
        raise NotImplementedError

    def _place_column(self) -> str:
        """A value for the column `place`, where there is one."""
        return ", 0" if self.asked("SELECT 1 FROM pragma_table_info('thread_events') WHERE name = 'place'") else ""


def on_page() -> set[tuple[str, str, str]]:
    """What `docs/triggers.md` says can be changed: (table, way, column)."""
    found: set[tuple[str, str, str]] = set()
    for table, ways, columns, _ in rows(section(page("triggers.md"), "## What goes through")):
        (name,) = code(table)
        for way in code(ways):
            found |= {(name, way, column) for column in code(columns) or [""]}
    return found
