"""Processor time of a cluster by kind of process: who spends what on a step."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from collections.abc import Mapping

import psutil

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Login
from relmachine.cluster.state import ProcessState
from relmachine.cluster.supervisor import Supervisor

KINDS = (
    "node", "daprd", "rqlited leader", "rqlited followers", "nats", "opa", "placement", "scheduler",
    "supervisor", "publisher",
)  # fmt: skip
"""What processor time is told apart by. This process, which watches the store too, counts as the supervisor."""

CpuSeconds = Mapping[int, float]
"""User and system time so far, by process id."""


def cpu_seconds(cluster: Supervisor, publisher: int) -> CpuSeconds:
    """Of every process of the cluster, the publisher and this one."""
    found: dict[int, float] = {}
    for pid in (*cluster.pids.values(), publisher, os.getpid()):
        times = psutil.Process(pid).cpu_times()
        found[pid] = times.user + times.system
    return found


def machine_cpu_seconds() -> float:
    """User and system time so far of everything on this machine."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system


def by_kind(
    cluster: Supervisor, store: Login, publisher: int, before: CpuSeconds, after: CpuSeconds
) -> dict[str, float]:
    """Seconds spent between two readings, by kind; the store's login tells which server leads.

    Errors: AssertionError when a process was restarted in between.
    """
    assert before.keys() == after.keys(), "a process of the cluster ended while it was measured"
    spent = dict.fromkeys(KINDS, 0.0)
    kinds = {publisher: "publisher", os.getpid(): "supervisor"}
    kinds.update((process.pid, _kind(process, store)) for process in cluster.state.processes if process.pid is not None)
    for pid, seconds in after.items():
        spent[kinds[pid]] += seconds - before[pid]
    return spent


def _kind(process: ProcessState, store: Login) -> str:
    if process.kind != Kind.RQLITE:
        return process.kind
    words = base64.b64encode(f"{store.user}:{store.password}".encode()).decode()
    asked = urllib.request.Request(f"{process.address}/status", headers={"Authorization": f"Basic {words}"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        leads = json.load(answer)["store"]["raft"]["state"] == "Leader"
    return "rqlited leader" if leads else "rqlited followers"
