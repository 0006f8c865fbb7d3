"""Goal: the replicated store keeps the contract of forks. Method: the contract class on one real server, cleared before
each test."""

from __future__ import annotations

import pytest

from tests.contract.fork_contract import ForkContract
from tests.contract.resolution_contract import ResolutionContract
from tests.contract.store_place import OnServer

pytestmark = pytest.mark.process


class TestForksOnRqlite(OnServer, ForkContract): ...


class TestResolutionsOnRqlite(OnServer, ResolutionContract): ...
