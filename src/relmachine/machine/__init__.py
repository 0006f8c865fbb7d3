"""What a user declares, and the frozen plan it compiles to."""

from __future__ import annotations

from relmachine.machine.machine import Machine

__all__ = ["Machine"]
