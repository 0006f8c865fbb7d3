"""Goal: a row that somebody puts there before its time never passes for the one that a turn writes.
Method: the rows of the next turn, honest or forged, written ahead of it by hand; inherited by every store adapter."""

from __future__ import annotations

import pytest

from relmachine.errors import RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.fiber_rows import fiber_rows
from relmachine.store.port import Store
from relmachine.store.turn_rows import content_rows, new_fibers
from tests.contract.sql_mutations import Cell, literal
from tests.contract.store_contract import HALF_A_TURN, StoreContract, everything
from tests.contract.store_turns import Desk

FORGED = [
    ("events", "payload"),
    ("events", "payload_digest"),
    ("events", "step_key"),
    ("events", "contributions_digest"),
    ("histories", "section_digest"),
    ("histories", "normal_form_ref"),
    ("contributions", "value"),
    ("fibers", "points"),
    ("fiber_points", "point"),
    ("fiber_points", "saturation"),
]
EVIDENCE = [("events", "verdicts"), ("histories", "place")]


class ForestalledContract(StoreContract):
    def test_what_a_turn_writes_goes_in_with_its_commit_only(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            turn = made.turn("a", made.steps.admitted("a", "opine", log="next", weight=0.5))
            before = await everything(store)
            refused: dict[str, str] = {}
            for table, rows in next_rows(made.plan, turn).items():
                for row in rows:
                    refused[table] = self.raw(inserting(table, row))
                    assert refused[table], table
            for table in ("events", "histories", "fibers", "thread_events", "receipts"):
                assert refused[table] == f"outside a commit: {table}"
            assert await everything(store) == before
            await store.commit([turn])
            assert (await store.states(["a"]))["a"] == turn.after

        self.run(test)

    @pytest.mark.parametrize(
        "row",
        [
            "controls VALUES ('a', 999, '_close', 'k', '{\"target\":\"x\"}', '{}')",
            "obstructions VALUES ('o', 'a', 'b', 1, 'dependent', '', '[]', '{}', '{}')",
            "section_snapshots SELECT head, '{}', thread, seq, 1 FROM threads",
            "under_way SELECT thread, seq, seq + 1 FROM threads",
        ],
    )
    def test_nothing_is_said_of_a_thread_beside_its_commits(self, row: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            assert self.raw(f"INSERT INTO {row}") in (
                f"outside a commit: {row.split(maxsplit=1)[0]}",
                "a section snapshot is of where a commit ends",
            )
            turn = made.notes("a", 1)
            await store.commit([turn])
            assert (await store.states(["a"]))["a"] == turn.after

        self.run(test)

    @pytest.mark.parametrize(("table", "column"), FORGED)
    def test_a_forged_row_stops_the_turn_whose_row_it_is(self, table: str, column: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            turn = self._forestalled(made, table, column)
            before = await everything(store)
            with pytest.raises(RelmError, match=r"relm verify|changed its tables") as raised:
                await store.commit([turn])
            kept = {"contributions": "event_contributions"}.get(table, table)
            assert f"write_once: {kept}" in str(raised.value.witness)
            assert await everything(store) == before

        self.run(test)

    @pytest.mark.parametrize(("table", "column"), EVIDENCE)
    def test_what_is_no_content_may_differ(self, table: str, column: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            turn = self._forestalled(made, table, column)
            await store.commit([turn])
            assert (await store.states(["a"]))["a"] == turn.after

        self.run(test)

    def test_a_thread_that_never_moved_says_nothing(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            assert self.raw(HALF_A_TURN[0].replace("mine", "a")) == ""
            assert await store.states(["a"]) == {}
            turn = made.opening("a")
            await store.commit([turn])
            assert (await store.states(["a"]))["a"] == turn.after
            assert (await store.select("SELECT label FROM threads")).rows == (("a",),)
            assert self.raw("DELETE FROM threads") == "write_once: threads"

        self.run(test)

    def _forestalled(self, made: Desk, table: str, column: str) -> Proposal:
        """The next turn of thread `a`, of which the rows up to `table` are there, with another `column` in that."""
        turn = made.turn("a", made.steps.admitted("a", "opine", log="next", weight=0.5))
        for statement in HALF_A_TURN:
            assert self.raw(statement) == ""
        for name, rows in next_rows(made.plan, turn).items():
            if name == table:
                cell = rows[0][column]
                forged: Cell = cell + 1 if isinstance(cell, int) else "FORGED"
                assert self.raw(inserting(name, {**rows[0], column: forged})) == ""
                return turn
            for row in rows if name != tables.THREAD_EVENTS.name else ():
                assert self.raw(inserting(name, row)) == ""
        raise AssertionError(f"the turn writes no {table}")


def next_rows(plan: Plan, turn: Proposal) -> dict[str, list[dict[str, Cell]]]:
    """The rows of a turn by table, in an order in which what is referred to comes first; histories as of `mine`."""
    of_fibers = fiber_rows(new_fibers(plan, [turn], ()).values(), Limits().fiber_table_elements_max)
    found: dict[str, list[dict[str, Cell]]] = {}
    for target, rows in ({**of_fibers, **content_rows([turn])}).items():
        found[target.name] = [dict(zip(target.columns, row, strict=True)) for row in rows]  # pyright: ignore[reportArgumentType]
    for row in found[tables.HISTORIES.name]:
        row["thread"] = "mine"
    return found


def inserting(table: str, row: dict[str, Cell]) -> str:
    """The statement that inserts `row`."""
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(literal, row.values()))})"
