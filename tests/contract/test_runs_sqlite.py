"""Goal: the SQLite store keeps the contract of runs. Method: the contract classes on a file per test."""

from __future__ import annotations

from tests.contract.run_cancel_contract import RunCancelContract
from tests.contract.run_contract import RunContract
from tests.contract.run_rows_contract import RunRowsContract
from tests.contract.standing_contract import StandingContract
from tests.contract.store_place import InFile


class TestRunsOnSqlite(InFile, RunContract): ...


class TestRowsOfRunsOnSqlite(InFile, RunRowsContract): ...


class TestCancelledRunsOnSqlite(InFile, RunCancelContract): ...


class TestStandingsOnSqlite(InFile, StandingContract): ...
