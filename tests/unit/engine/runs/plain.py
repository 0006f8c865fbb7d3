"""A long run that asks no model, and imports none of the libraries for models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.engine.runs.carrier import RunCarrier
from relmachine.engine.runs.port import RunRequest
from relmachine.kernel.frozen import freeze
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state


class Nothing(BaseModel):
    pass


machine = Machine("plain")
total = machine.field("total", int, reducer="sum")


@machine.process(durable=True, writes=[total])
def compute(step: Nothing, view: View) -> Section:
    return Section({"total": 1})


async def carried() -> str:
    """The reason with which the run ends."""
    plan, nobody = machine.plan(), _Nobody()
    step = plan.steps[plan.step_index["compute"]]
    assert step.run is not None
    frozen = freeze(plan, step, "key", "", "", step.run.budget)
    state = initial_state(plan, "t")
    request = RunRequest(plan, step, "t", 1, 1, "key", "{}", View(), state, frozen)
    return str((await RunCarrier(plan, nobody, nobody, Limits()).carry_out(request)).answer.reason)


class _Nobody:
    """Neither models nor processes."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is asked of nobody")
