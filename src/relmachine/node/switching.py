"""How soon a thread that wants the interpreter gets it from another: sooner while a control lane works in a thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

SWITCH_SECONDS = 0.0005
"""How long a thread of a node keeps the interpreter while another wants it. By default ten times as long, and every
step of a control record would wait for that behind a node that has its hands full."""

_changing = threading.Lock()
_before: list[float] = []
"""The interval that was there, once for each block that runs."""


@contextmanager
def switching_fast() -> Generator[None]:
    """In the block, threads of this process change after `SWITCH_SECONDS`; after the last such block, as before."""
    with _changing:
        _before.append(_before[0] if _before else sys.getswitchinterval())
        sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        with _changing:
            interval = _before.pop()
            if not _before:
                sys.setswitchinterval(interval)
