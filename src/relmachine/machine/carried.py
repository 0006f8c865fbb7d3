"""From what a decorator is given to how the step is carried out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

from pydantic import BaseModel, ConfigDict, create_model

from relmachine.machine.plan import Kind
from relmachine.machine.runs import DEFAULT_MODEL, Budget, RunPlan, Tool


class Durable(TypedDict, total=False):
    """Whether a step runs outside its turn for being long, and which steps it may propose."""

    durable: bool
    targets: Sequence[str]


class Carried(Durable, total=False):
    """What a step that asks a model is given. `tools` are handles, or names of the tools that every agent may have.

    `fallback` is a model that goes on for one that fails, `fallback_closure` a function that answers when all fail.
    """

    output: type[BaseModel]
    model: str
    fallback: str
    fallback_closure: Callable[..., object]
    tools: Sequence[Tool | str]
    instructions: str
    budget: Budget


class Text(BaseModel):
    """The output of an inquiry that declares none."""

    model_config = ConfigDict(extra="forbid")

    text: str


def run_plan(
    kind: Kind, closure: Callable[..., object], given: Mapping[str, object], members: tuple[tuple[str, str], ...]
) -> RunPlan | None:
    """How a closure of `kind` is carried out; None when it runs inside its turn.

    Inside run plain functions of a Process, and of a Procedure that names no model: they are deterministic.
    """
    asked = cast(Carried, given)
    coroutine = inspect.iscoroutinefunction(closure)
    model = asked.get("model")
    if model is None and (kind in (Kind.DERIVATION, Kind.INQUIRY) or (coroutine and kind is Kind.PROCEDURE)):
        model = DEFAULT_MODEL
    durable = asked.get("durable", False)
    if model is None and not durable and not coroutine:
        return None
    tools = asked.get("tools", ())
    return RunPlan(
        model=model,
        fallback=asked.get("fallback"),
        fallback_closure=asked.get("fallback_closure"),
        output=None if coroutine or model is None else asked.get("output") or _output(kind, asked),
        members=members,
        tools=tuple(tool for tool in tools if isinstance(tool, Tool)),
        own_tools=tuple(tool for tool in tools if isinstance(tool, str)),
        instructions=asked.get("instructions") or inspect.getdoc(closure) or "",
        budget=asked.get("budget", Budget()),
        durable=durable,
    )


def _output(kind: Kind, asked: Carried) -> type[BaseModel] | None:
    """The output of a step that declares none: an inquiry's is text, a procedure's one of its targets."""
    if kind is Kind.INQUIRY:
        return Text
    if kind is not Kind.PROCEDURE or not asked.get("targets"):
        return None
    goto: Any = Literal[tuple(asked.get("targets", ()))]
    return create_model("Route", __config__=ConfigDict(extra="forbid"), goto=(goto, ...), reason=(str, ""))
