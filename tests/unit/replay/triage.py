"""A machine with all that a run can be: all four kinds, tools, proposed steps, long functions, a `once` field."""

from __future__ import annotations

from collections import Counter
from typing import Any

from langgraph.types import Command, Send
from pydantic import BaseModel
from pydantic_ai import models as pydantic_models
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from relmachine import Budget, Machine, Run, Section, View

pydantic_models.ALLOW_MODEL_REQUESTS = False


class Empty(BaseModel):
    """No members."""


class Service(BaseModel):
    """Which one."""

    service: str = "db"


class Cause(BaseModel):
    """What a model says."""

    cause: str


def triage(called: Counter[str] | None = None, says: str = "disk", closure: str = "sure") -> Machine:
    """`says` is the cause that the model finds and `closure` what the check notes; calls are counted in `called`."""
    made, seen = Machine("triage"), Counter[str]() if called is None else called
    made.claim("observed")
    made.claim("proposed", requires=["observed"])
    made.claim("confirmed", requires=["proposed"])
    made.field("symptom", str, reducer="union")
    made.field("cause", str, reducer="once")
    made.field("opinions", str, reducer="union")
    made.field("total", int, reducer="sum")
    made.field("notes", str, reducer="union")
    made.step("observe", kind="process", asserts=["observed"], writes={"symptom": "symptom"})
    made.step("note", kind="process", writes={"notes": "text"})
    made.step("retract", kind="process", contests=["observed"])

    @made.tool()
    def look(service: str) -> dict[str, float]:
        """Load of a service."""
        seen["look"] += 1
        return {"load": 0.9 + len(service)}

    @made.derivation(
        asserts=["proposed"],
        reads=["symptom"],
        writes=["cause"],
        tools=[look, "settled"],
        targets=["confirm"],
        budget=Budget(passes=4),
    )
    async def propose(step: Empty, view: View, run: Run) -> Section:
        """You find causes."""
        found = await run.agent(f"What explains {sorted(view['symptom'])}?", output=Cause)
        return Section({"cause": found.cause}, propose=[("confirm", {})])

    @made.derivation(output=Cause, reads=["symptom"], writes={"opinions": "cause"}, tools=[look])
    def judge(step: Service, view: View) -> str:
        """You judge."""
        return f"Judge {step.service} by {sorted(view['symptom'])}."

    @made.process(asserts=["confirmed"], reads=["cause"], writes=["notes"])
    def confirm(step: Empty, view: View) -> Section:
        return Section({"notes": f"{closure} of {view['cause']}"})

    @made.procedure(targets=["note", "judge"], tools=[look])
    async def route(step: Service, view: View, run: Run) -> Command[Any]:
        load = await run.tool("look", service=step.service)
        text = f"{load['load']} at {run.now().year > 2000} {len(run.new_id())} {run.random()}"
        return Command(goto=[Send("note", {"text": text}), Send("judge", {"service": step.service})])

    @made.inquiry(reads=["symptom"], writes={"opinions": "text"})
    def ask(step: Empty, view: View) -> str:
        return f"Anything else about {sorted(view['symptom'])}?"

    @made.process(reads=["symptom"], writes=["total"], durable=True)
    def count(step: Empty, view: View) -> Section:
        return Section({"total": sum(map(len, view["symptom"]))})

    made.model("default", FunctionModel(lambda messages, info: _answer(seen, says, messages, info)))
    return made


def _answer(seen: Counter[str], says: str, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Looks once where it has tools, and then says the cause; looks for ever where something is endless."""
    seen["model"] += 1
    asked, returned = str(messages[0].parts), [part for one in messages for part in _returns(one)]
    if info.function_tools and (not returned or "endless" in asked):
        return ModelResponse(parts=[ToolCallPart("look", {"service": f"s{len(returned)}"})])
    member = "text" if "Anything" in asked else "cause"
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {member: says})])


def _returns(message: ModelMessage) -> list[ToolReturnPart]:
    return (
        [part for part in message.parts if isinstance(part, ToolReturnPart)]
        if isinstance(message, ModelRequest)
        else []
    )
