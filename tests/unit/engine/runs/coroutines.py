"""A machine whose closures are given the run itself, and long ones that are not."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END
from langgraph.types import Command, Send
from pydantic import BaseModel, ConfigDict

from relmachine import Machine, Run, Section, View
from relmachine.errors import Code, RelmError
from tests.unit.engine.runs.incidents import Check, Effects, Incident


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    guilty: bool


def coroutines(effects: Effects | None = None) -> Machine:
    """`investigate` uses all that a run offers, `decide` returns a Command, `compute` is long and plain."""
    seen = effects or Effects()
    machine = Machine("coroutines")
    log = machine.field("log", str, reducer="log")
    observed = machine.claim("observed")
    found = machine.claim("found", requires=[observed])
    machine.step("observe", kind="process", asserts=[observed])
    machine.step("report", kind="process")
    machine.step("verify", kind="process", payload=Check)

    @machine.tool()
    async def look(service: str) -> dict[str, Any]:
        """Look at a service."""
        seen.called.append("look")
        return {"service": service, "slow": True}

    @machine.tool()
    def broken() -> str:
        """Always fails."""
        raise ValueError("out of order")

    @machine.derivation(
        asserts=[found], writes=[log], tools=[look, broken, "settled", "publish"], targets=["report", "verify"]
    )
    async def investigate(step: Incident, view: View, run: Run) -> Section:
        """Be thorough."""
        seen.called.append("investigate")
        text = await run.ask("in words")
        seen_there = await run.tool("look", service="db")
        verdict = await run.agent(f"is it {seen_there['service']}?", Verdict)
        other = await run.ask("a second opinion", Verdict, model="other")
        try:
            await run.tool("broken")
        except RelmError as error:
            failed = str(error.code)
        run.publish("verify", host="db")
        settled = await run.tool("settled")
        line = [text, verdict.guilty, other.guilty, failed, settled, run.now().year > 2000, len(run.new_id())]
        return Section({"log": f"{line} {run.random()}"}, propose=[("report", {})])

    @machine.procedure(writes=[log], targets=["report", "verify"])
    async def decide(step: Incident, view: View, run: Run) -> Command[Any]:
        await run.ask("which?")
        return Command(goto=["report", Send("verify", {"host": "db"}), END], update={"log": "decided"})

    @machine.procedure(writes=[log], targets=["report"], durable=True)
    def choose(step: Incident, view: View) -> Command[Any]:
        return Command(goto={"wrong": "observe", "payload": Send("verify", {})}.get(step.title, "report"))

    @machine.process(writes=[log], targets=["report"], durable=True)
    def compute(step: Incident, view: View) -> Section:
        if step.title == "fail":
            raise RelmError(Code.TOOL_FAILED, "no such thing")
        return Section({"log": step.title if step.title != "number" else 7}, propose=[("report", {})])

    @machine.derivation(writes=[log])
    async def swallow(step: Incident, view: View, run: Run) -> Section:
        try:
            await run.ask("give a verdict", Verdict)
        except Exception:
            return Section({"log": "went on all the same"})
        return Section({"log": "fine"})

    return machine
