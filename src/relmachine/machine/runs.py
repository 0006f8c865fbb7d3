"""How a step is carried out that does not run inside its turn: by a model, with tools, or for long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

OWN_TOOLS = ("normalize", "saturate", "transfer", "settled", "publish")
"""Tools that every agent may be given by name: they answer from the machine and from the step's view."""

ASSERTED_TOOLS = frozenset(("saturate", "transfer"))
"""Those of them that look at what was ever asserted, what was taken back too, of the claims that the step may see."""

DEFAULT_MODEL = "default"
"""Name of the model of a step that names none; the node binds it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run may spend before it ends with reason `budget`, and the caps of its loop.

    `passes` is the cap of the loop, `repeats` how often in a row a pass may leave the state as it was, `failures` how
    often in a row what a model gave may be invalid. `cost` is in US dollars; None sets no bound. `solver_seconds` are
    for the tools that answer from the machine (`OWN_TOOLS`) together, and of CPU for each law of the author's own that
    judges the answer.
    """

    wall_seconds: float = 120.0
    solver_seconds: float = 5.0
    tokens: int = 100_000
    cost: float | None = None
    tool_calls: int = 32
    passes: int = 16
    repeats: int = 3
    failures: int = 3


@dataclass(frozen=True, slots=True)
class ThreadBudget:
    """What all the runs of one thread may spend together; None sets no bound. `cost` is in US dollars."""

    tokens: int | None = None
    cost: float | None = None
    tool_calls: int | None = None
    wall_seconds: float | None = None
    solver_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call with arguments of the declared types.

    One that is not `trusted` runs in a process of its own, within `seconds`, `memory_bytes` and `output_bytes`.
    """

    name: str
    function: Callable[..., object]
    trusted: bool = True
    seconds: float = 10.0
    memory_bytes: int = 256 * 1024 * 1024
    output_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What carries out a step outside its turn.

    With a `model`, a plain closure gives the prompt, and the model's answer is an `output`, whose members go to fields
    as `members` (field, member) says; the member `goto` of a procedure's output names the step that it proposes.
    `model` and `fallback` are names that the node binds, or model strings with a colon in them. A coroutine function
    gets the run itself, and returns what any closure does. `durable` runs survive a crash of their node. Where models
    give nothing, or what they may spend is spent, `fallback_closure` answers: a plain function of payload and view.
    """

    model: str | None
    fallback: str | None = None
    fallback_closure: Callable[..., object] | None = None
    output: type[BaseModel] | None = None
    members: tuple[tuple[str, str], ...] = ()
    tools: tuple[Tool, ...] = ()
    own_tools: tuple[str, ...] = ()
    instructions: str = ""
    budget: Budget = field(default_factory=Budget)
    durable: bool = False
