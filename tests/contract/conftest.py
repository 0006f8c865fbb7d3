"""Servers that the tests of one file share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.rqlite_servers import RqliteServers

# Their assertions then say as much as those of test files.
pytest.register_assert_rewrite(*(f"tests.contract.{file.stem}" for file in Path(__file__).parent.glob("*_contract.py")))


@pytest.fixture(scope="module")
def one_rqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RqliteServers]:
    """One rqlite server; whoever needs it empty clears it."""
    servers = RqliteServers(tmp_path_factory.mktemp("rqlite"), 1)
    try:
        yield servers.start()
    finally:
        servers.end()
