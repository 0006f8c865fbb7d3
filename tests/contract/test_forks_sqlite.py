"""Goal: the SQLite store keeps the contract of forks. Method: the contract class on a file per test."""

from __future__ import annotations

from tests.contract.fork_contract import ForkContract
from tests.contract.resolution_contract import ResolutionContract
from tests.contract.store_place import InFile


class TestForksOnSqlite(InFile, ForkContract): ...


class TestResolutionsOnSqlite(InFile, ResolutionContract): ...
