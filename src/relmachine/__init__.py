"""A distributed relational machine runtime: what a machine's author imports.

Names are loaded when first asked for (PEP 562), so that a command line that asks for none of them starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmachine.errors import Code, RelmError
    from relmachine.gates.models import Accord, AccordSection, Fiber
    from relmachine.machine.declaration import claim, field
    from relmachine.machine.machine import Machine
    from relmachine.machine.run import Run
    from relmachine.machine.runs import Budget, ThreadBudget
    from relmachine.machine.section import Section
    from relmachine.machine.view import View
    from relmachine.replay.exported import ThreadExport
    from relmachine.replay.replayer import Replayer

__all__ = [
    "Accord",
    "AccordSection",
    "Budget",
    "Code",
    "Fiber",
    "Machine",
    "RelmError",
    "Replayer",
    "Run",
    "Section",
    "ThreadBudget",
    "ThreadExport",
    "View",
    "claim",
    "field",
]

_HOMES = {
    "Accord": "gates.models",
    "AccordSection": "gates.models",
    "Budget": "machine.runs",
    "Code": "errors",
    "Fiber": "gates.models",
    "Machine": "machine.machine",
    "RelmError": "errors",
    "Replayer": "replay.replayer",
    "Run": "machine.run",
    "Section": "machine.section",
    "ThreadBudget": "machine.runs",
    "ThreadExport": "replay.exported",
    "View": "machine.view",
    "claim": "machine.declaration",
    "field": "machine.declaration",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
