"""The machine of these tests: incidents that models work on, with tools that behave in every way."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from relmachine import Machine, Run, Section, View
from relmachine.machine.runs import Budget

LARGE = 10 * 1024 * 1024
"""10 MB, in characters."""


class Incident(BaseModel):
    title: str = "the shop is slow"


class Check(BaseModel):
    model_config = ConfigDict(extra="forbid")
    host: str


class Cause(BaseModel):
    """The cause of the incident."""

    cause: str
    sure: bool = False
    note: str | None = None

    @field_validator("cause")
    @classmethod
    def _sound(cls, cause: str) -> str:
        """An author's own, with a bug."""
        if cause == "bug":
            raise KeyError(cause)
        return cause


class Way(BaseModel):
    """Where to go on."""

    goto: Literal["report", "verify", "hypothesise"] | list[str]
    reason: str = ""


class Effects:
    """What tools and closures did: how often each was called, and the gate that hanging ones wait at."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.gate = Event()


def outside(service: str) -> str:
    """Runs elsewhere."""
    return f"{service} from outside"


def incidents(effects: Effects | None = None, budget: Budget | None = None) -> Machine:
    """`hypothesise` asks a model with tools, `route` lets one choose, `quiet` reads what it did not declare."""
    seen = effects or Effects()
    limits = budget or Budget()
    machine = Machine("incidents", version="1")
    causes = machine.field("causes", str, reducer="union")
    notes = machine.field("notes", str, reducer="log")
    secret = machine.field("secret", str, reducer="log")
    observed = machine.claim("observed")
    aside = machine.claim("aside")
    proposed = machine.claim("proposed", requires=[observed])
    machine.step("observe", kind="process", asserts=[observed])
    machine.step("gossip", kind="process", asserts=[aside], writes={secret: "text"})
    machine.step("report", kind="process")

    @machine.tool()
    def look(service: str, depth: int = 1) -> str:
        """Look at a service."""
        seen.called.append("look")
        return f"{service} at {depth} is slow"

    @machine.tool()
    def broken(service: str) -> str:
        """Always fails."""
        seen.called.append("broken")
        raise ValueError(f"no such service: {service}")

    @machine.tool()
    def large() -> str:
        """Gives far too much."""
        seen.called.append("large")
        return "x" * LARGE

    @machine.tool()
    def stuck() -> str:
        """Never comes back."""
        seen.called.append("stuck")
        seen.gate.wait()
        return "at last"

    @machine.tool()
    def leaves() -> str:
        """Ends the program that calls it."""
        seen.called.append("leaves")
        raise SystemExit(1)

    tools = [
        look,
        broken,
        leaves,
        large,
        stuck,
        machine.tool(trusted=False)(outside),
        "normalize",
        "saturate",
        "transfer",
        "settled",
        "publish",
    ]

    @machine.derivation(
        asserts=[proposed],
        writes={causes: "cause", notes: "note"},
        output=Cause,
        tools=tools,
        targets=["verify", "report"],
        budget=limits,
        fallback="spare",
    )
    def hypothesise(step: Incident, view: View) -> str:
        """Find the cause."""
        seen.called.append("hypothesise")
        return f"What is behind this? {step.title}"

    @machine.derivation(writes={causes: "cause"}, output=Cause, budget=limits)
    def alone(step: Incident, view: View) -> str:
        """Find the cause, with no tool and no fallback."""
        return step.title

    @machine.process(writes=[notes])
    def verify(step: Check, view: View) -> Section:
        return Section({"notes": step.host})

    @machine.procedure(output=Way, model="default", targets=["report", "verify"], budget=limits)
    def route(step: Incident, view: View) -> str:
        """Choose what comes next."""
        return step.title

    @machine.derivation(writes={causes: "cause"}, output=Cause)
    def quiet(step: Incident, view: View) -> str:
        """Look where it may not."""
        return str(view.get("secret"))

    @machine.derivation(writes=[causes], budget=limits)
    async def gathers(step: Incident, view: View, run: Run) -> Section:
        """Does not wait for a call before the next."""
        return Section({"causes": "".join(await asyncio.gather(run.ask("one"), run.ask("other")))})

    @machine.derivation(writes={causes: "cause"}, output=Cause)
    def raising(step: Incident, view: View) -> str:
        """Raise."""
        raise SystemExit("no way")

    return machine
