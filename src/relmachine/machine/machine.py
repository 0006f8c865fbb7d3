"""The Python form of a machine: what a user writes (design: "What a user writes").

A machine is declared once, at import, and never changes while a plan of it is in use. Declaring never raises for a
broken machine: `check` reports everything that is wrong, and `plan` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Unpack

from relmachine.errors import Code, RelmError
from relmachine.machine.compile import compile_plan, laws_digest
from relmachine.machine.declaration import Claim, Declaration, Field, FieldTypeName, Ingest, ReducerName
from relmachine.machine.declaration import claim as make_claim
from relmachine.machine.declaration import field as make_field
from relmachine.machine.declaring import Judged, declare_step, decorator, kind_named
from relmachine.machine.given import Asking, Claims, Computing, KindName, Payload, ToolBounds, Touches
from relmachine.machine.laws import check
from relmachine.machine.own_law import parse_own_law
from relmachine.machine.plan import FieldType, Kind, Plan, Reducer
from relmachine.machine.report import Report
from relmachine.machine.runs import ThreadBudget, Tool


class Machine:
    """Claims, fields and step types under one name. `version` is the declaration's; it is not part of its laws."""

    def __init__(
        self,
        name: str,
        *,
        version: str = "1",
        claims: Sequence[Claim] = (),
        fields: Sequence[Field] = (),
        budget: ThreadBudget | None = None,
    ) -> None:
        """`budget` is what all the runs of one thread may spend together."""
        self.declaration = Declaration(name, version, budget=budget)
        for item in (*claims, *fields):
            self.declaration.add(item)

    def __repr__(self) -> str:
        return f"Machine({self.name!r}, version={self.version!r})"

    @property
    def name(self) -> str:
        """The machine's name: the second token of its subjects."""
        return self.declaration.name

    @property
    def version(self) -> str:
        """The declaration's version."""
        return self.declaration.version

    @property
    def ingest(self) -> Ingest:
        """How a log becomes steps of this machine; empty when nothing was said."""
        return self.declaration.ingest

    def claim(self, name: str, *, requires: Claims = ()) -> Claim:
        """Declare a claim that rests on `requires`."""
        item = make_claim(name, requires=requires)
        self.declaration.add(item)
        return item

    def field(
        self,
        name: str,
        type: type | FieldType | FieldTypeName,
        *,
        reducer: Reducer | ReducerName,
    ) -> Field:
        """Declare a field of the accord. Errors: `machine_invalid` for an unknown type or reducer."""
        item = make_field(name, type, reducer=reducer)
        self.declaration.add(item)
        return item

    def step(self, name: str, *, kind: Kind | KindName, payload: Payload = (), **touches: Unpack[Touches]) -> None:
        """Declare a *recorded* step: what it writes stands in its payload. `writes` maps fields to payload members.

        Without a model the payload is built: the members that `writes` names, with their fields' types and optional,
        and the members of `payload`. Errors: `machine_invalid` for an unknown kind.
        """
        declare_step(self.declaration, name, kind_named(name, kind), payload, None, touches)

    def independent(self, one: str, other: str) -> None:
        """State the belief that two step types commute; `check` tests it against the footprints."""
        self.declaration.independent.append((one, other))

    def dependent(self, one: str, other: str) -> None:
        """Make two step types dependent although their footprints do not."""
        self.declaration.dependent.append((one, other))

    def ingest_xes(self, *, names: Mapping[str, str], payload: Mapping[str, str], principal: str = "") -> None:
        """Say how an XES log becomes steps: activity to step, payload member to `event:<key>` or `trace:<key>`.

        `principal` is such an attribute too, for who did the step; without one it is whoever replays the log.
        """
        self.declaration.ingest = Ingest(dict(names), dict(payload), principal)

    def law(self, name: str, text: str) -> None:
        """Add a law of your own, an answer set program (`docs/own-laws.md`). A flawed one is left for `check`."""
        self.declaration.add(parse_own_law(name, text))

    def check(self) -> Report:
        """Every law with its verdict and witnesses. Never raises for a broken machine."""
        return check(self.declaration)

    def laws_digest(self) -> str:
        """Digest of the laws, the machine's identity. Only for a machine whose check passes."""
        return laws_digest(self.declaration)

    def plan(self, evidence: Mapping[str, str] | None = None) -> Plan:
        """The frozen plan. `evidence` (policy revision, digest of constraint programs, …) enters its digest only.

        Errors: `machine_invalid` with the failed laws.
        """
        report = self.check()
        if not report.ok:
            raise RelmError(
                Code.MACHINE_INVALID,
                f"machine {self.name!r} breaks {', '.join(item.law for item in report.failed)}: run `relm check` on it",
                machine=self.name,
                laws=[item.as_json() for item in report.failed],
            )
        return compile_plan(self.declaration, evidence or {})

    def model(self, name: str, model: object) -> None:
        """Bind the name of a model to a model string (`openai:gpt-5`) or a PydanticAI model. A node's settings win."""
        self.declaration.models[name] = model

    def tool(self, **bounds: Unpack[ToolBounds]) -> Callable[[Callable[..., object]], Tool]:
        """Declare a function as a tool for models, called as the function is; its annotations are its arguments.

        With `trusted=False` each call runs in a process of its own, within `seconds`, `memory_bytes`, `output_bytes`.
        """

        def declare(function: Callable[..., object]) -> Tool:
            made = Tool(function.__name__, function, **bounds)
            self.declaration.add(made)
            return made

        return declare

    def process(self, *, name: str | None = None, **given: Unpack[Computing]) -> Callable[[Judged], Judged]:
        """Declare a Process: over a function a computed step, over a payload model a recorded one.

        The function takes the payload (its annotation is the model) and a `View`, and returns a `Section`; it is
        deterministic, and sees nothing but its arguments. The step is called `name`, or as the function is. A `durable`
        one runs outside its turn, for as long as its budget lets it.
        """
        return decorator(self.declaration, Kind.PROCESS, name, given)

    def derivation(self, *, name: str | None = None, **given: Unpack[Asking]) -> Callable[[Judged], Judged]:
        """Declare a Derivation. Over a payload model it is a recorded judgement. Over a function a model judges: the
        function takes payload and `View` and returns the prompt, its docstring are the instructions, and the model's
        structured answer is an `output`, whose members go to fields as `writes` says.

        A coroutine function `(payload, view, run)` asks for itself (`docs/agents.md`) and returns a `Section`.
        """
        return decorator(self.declaration, Kind.DERIVATION, name, given)

    def procedure(self, *, name: str | None = None, **given: Unpack[Asking]) -> Callable[[Judged], Judged]:
        """Declare a Procedure, which decides on what comes next: one or more of its `targets`.

        Over a function without `model` it is computed inside the turn and returns LangGraph's `Command(goto=…)`; with a
        `model` the function returns the prompt, and the model chooses among the targets. Over a payload model it is a
        recorded decision.
        """
        return decorator(self.declaration, Kind.PROCEDURE, name, given)

    def inquiry(self, *, name: str | None = None, **given: Unpack[Asking]) -> Callable[[Judged], Judged]:
        """Declare an Inquiry: as a Derivation, but open. Without `output` the answer is text, its member `text`."""
        return decorator(self.declaration, Kind.INQUIRY, name, given)
