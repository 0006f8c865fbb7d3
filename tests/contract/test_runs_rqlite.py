"""Goal: the replicated store keeps the contract of runs. Method: the contract classes on one real server, cleared
before each test."""

from __future__ import annotations

import pytest

from tests.contract.run_cancel_contract import RunCancelContract
from tests.contract.run_contract import RunContract
from tests.contract.run_rows_contract import RunRowsContract
from tests.contract.standing_contract import StandingContract
from tests.contract.store_place import OnServer

pytestmark = pytest.mark.process


class TestRunsOnRqlite(OnServer, RunContract): ...


class TestRowsOfRunsOnRqlite(OnServer, RunRowsContract): ...


class TestCancelledRunsOnRqlite(OnServer, RunCancelContract): ...


class TestStandingsOnRqlite(OnServer, StandingContract): ...
