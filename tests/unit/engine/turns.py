"""Steps of a small machine through gate 1 and the engine, without stream or store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from relmachine.engine.turn import Case, Engine
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, Refused
from relmachine.machine import Machine


def candidates(machine: Machine, steps: Sequence[tuple[str, dict[str, Any]]]) -> list[Candidate]:
    """The steps as gate 1 understands them; sequences from 1, keys from the place."""
    shape = ShapeGate(machine.plan(), Limits())
    found: list[Candidate] = []
    for number, (name, data) in enumerate(steps, start=1):
        body = orjson.dumps({"specversion": "1.0", "id": str(number), "source": "s", "type": name, "data": data})
        candidate = shape.check(Message(number, "t", name, body))
        assert isinstance(candidate, Candidate), candidate
        found.append(candidate)
    return found


def decide(machine: Machine, steps: Sequence[Candidate], limits: Limits | None = None) -> list[Admitted | Refused]:
    """What the engine decides of the steps on a fresh thread."""
    plan = machine.plan()
    engine = Engine(plan, AdmissionGate(plan), limits or Limits())
    return asyncio.run(engine.decide([Case(initial_state(plan, "t"), steps)]))[0]


def outcomes(decided: Sequence[Admitted | Refused]) -> list[object]:
    """Contributions of what was admitted, codes of what was refused."""
    return [dict(item.contributions) if isinstance(item, Admitted) else str(item.refusal.code) for item in decided]
