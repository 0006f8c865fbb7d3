"""The real servers of a cluster for tests that start them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relmachine.servers import available

MISSING = "not on this machine: "
"""Begins the reason of every test that is left out for a server; the server's name follows."""


def need(name: str) -> Path:
    """The program of the server `name`. When it is not on this machine the test is left out, with the reason; with
    RELM_REQUIRE_CLUSTER=1 it fails instead."""
    path = available()[name].path
    if path is not None:
        return path
    if os.environ.get("RELM_REQUIRE_CLUSTER") == "1":
        pytest.fail(f"RELM_REQUIRE_CLUSTER=1, and {name} is not on this machine: make servers", pytrace=False)
    pytest.skip(f"{MISSING}{name}")
