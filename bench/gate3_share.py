"""The CPU that gate 3 takes of a node: every call of it, wherever it runs, by the clock of its thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker

_CALLS = (
    (AdmissionGate, "decide"),
    (ConstraintChecker, "_seen"),
    (ConstraintChecker, "_ask"),
    (ConstraintChecker, "_learn"),
)


class Gate3Clock:
    """CPU seconds in gate 3 since it was made."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = Lock()
        for owner, name in _CALLS:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*given)
            finally:
                spent = time.thread_time() - started
                with self._lock:
                    self.seconds += spent

        return timed
