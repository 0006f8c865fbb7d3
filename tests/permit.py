"""The permit example for tests: its paths, its machine, its log case by case, and the figures it must give."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from relmachine.ingest.cases import LogStep
from relmachine.ingest.steps import outgoing, survey
from relmachine.machine import Machine
from relmachine.machine.loader import load
from relmachine.machine.plan import Plan

FOLDER = Path(__file__).parent.parent / "examples" / "permit"
LOG = FOLDER / "receipt.xes.gz"
YAML = FOLDER / "permit.yaml"
PYTHON = FOLDER / "permit.py"


def expected() -> dict[str, Any]:
    """The figures of the whole log."""
    return cast("dict[str, Any]", json.loads((FOLDER / "expected.json").read_text())["figures"])


@cache
def machine(path: Path = YAML) -> Machine:
    """The permit machine."""
    return load(path)


@cache
def plan() -> Plan:
    """Its plan."""
    return machine().plan()


@cache
def cases() -> dict[str, tuple[LogStep, ...]]:
    """The log's steps by thread, in their order."""
    found: dict[str, list[LogStep]] = {}
    for step in outgoing(machine(), survey(machine(), LOG)):
        found.setdefault(step.thread, []).append(step)
    return {thread: tuple(steps) for thread, steps in found.items()}
