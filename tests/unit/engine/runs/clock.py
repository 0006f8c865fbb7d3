"""The clock of a loop, which a test sets forward: nothing is waited for, and a slow machine has its time."""

from __future__ import annotations

import asyncio


def set_forward(seconds: float) -> None:
    """What is due within `seconds` on the running loop is due now; later timers keep the rest of their time."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds
