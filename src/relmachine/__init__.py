"""A distributed relational machine runtime: what a machine's author imports."""

from __future__ import annotations

from relmachine.errors import Code, RelmError
from relmachine.machine.declaration import claim, field
from relmachine.machine.machine import Machine
from relmachine.machine.section import Section
from relmachine.machine.view import View

__all__ = ["Code", "Machine", "RelmError", "Section", "View", "claim", "field"]
