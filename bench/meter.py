"""CPU seconds over all processes of a run, and percentiles."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds (user and system, reaped children included) and the wall clock at one moment."""

    cpu_seconds: float
    wall_seconds: float

    def __sub__(self, earlier: Reading) -> Reading:
        return Reading(self.cpu_seconds - earlier.cpu_seconds, self.wall_seconds - earlier.wall_seconds)


def read(pids: Sequence[int]) -> Reading:
    """CPU of this process, its reaped children, and the processes in `pids`."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    for pid in pids:
        times = psutil.Process(pid).cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return Reading(total, time.perf_counter())


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
