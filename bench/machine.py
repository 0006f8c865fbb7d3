"""The machine of workload W: eight claims up to four deep, every commuting reducer and `once`, contests."""

from __future__ import annotations

from typing import Any

import yaml

from relmachine.machine import Machine
from relmachine.machine.yaml_form import parse_machine

CHAINS = {"c": 4, "d": 3, "e": 1}
"""Claims `c1 <- c2 <- c3 <- c4`, `d1 <- d2 <- d3` and `e1`."""

CONTESTED = ("c2", "c4", "d3", "e1")

GRANTED = ("anna", "bert", "cleo", "dora")
"""Principals that the grants of the benchmark allow."""

_COMMON = {"note": "string", "ref": "string", "region": "string"}
_WRITES = {"actors": "actor", "seen_at": "at", "first_at": "at", "total": "amount"}


def machine() -> Machine:
    """The machine of workload W."""
    return parse_machine(declaration())


def declaration() -> str:
    """Its YAML text."""
    claims: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    for chain, depth in CHAINS.items():
        for level in range(1, depth + 1):
            name = f"{chain}{level}"
            claims[name] = {"requires": [f"{chain}{level - 1}"]} if level > 1 else {}
            steps[f"do_{name}"] = {
                "kind": "process",
                "asserts": [name],
                "payload": _COMMON,
                "writes": {**_WRITES, "kind": "kind"} if name == "c1" else _WRITES,
            }
    for name in CONTESTED:
        steps[f"undo_{name}"] = {"kind": "process", "contests": [name], "payload": _COMMON, "writes": _WRITES}
    form: dict[str, Any] = {
        "machine": "w",
        "version": "1",
        "fields": {
            "actors": {"type": "string", "reducer": "union"},
            "seen_at": {"type": "datetime", "reducer": "max"},
            "first_at": {"type": "datetime", "reducer": "min"},
            "total": {"type": "integer", "reducer": "sum"},
            "kind": {"type": "string", "reducer": "once"},
        },
        "claims": claims,
        "steps": steps,
    }
    return yaml.safe_dump(form)
