"""The Python form of a machine: what a user writes (design: "What a user writes").

A machine is declared once, at import, and never changes while a plan of it is in use. Declaring never raises for a
broken machine: `check` reports everything that is wrong, and `plan` refuses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypedDict, TypeVar, Unpack, cast

from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.machine.carried import Carried, Durable, run_plan
from relmachine.machine.closures import payload_annotation
from relmachine.machine.compile import compile_plan, laws_digest
from relmachine.machine.declaration import (
    Claim,
    Declaration,
    Field,
    FieldTypeName,
    Ingest,
    Member,
    OnMissing,
    ReducerName,
    StepDeclaration,
    names_of,
)
from relmachine.machine.declaration import claim as make_claim
from relmachine.machine.declaration import field as make_field
from relmachine.machine.laws import check
from relmachine.machine.own_law import parse_own_law
from relmachine.machine.plan import FieldType, Kind, Plan, Reducer
from relmachine.machine.report import Law, Report
from relmachine.machine.runs import ThreadBudget, Tool

Claims = Sequence[Claim | str]
Writes = Mapping[Field, str] | Mapping[str, str] | Sequence[Field | str]
Payload = type[BaseModel] | Sequence[Member]
KindName = Literal["process", "derivation", "procedure", "inquiry"]
Judged = TypeVar("Judged", bound=Callable[..., object])


class Touches(TypedDict, total=False):
    """What a step touches, by handle or by name. `writes` maps fields to payload members where it is recorded.

    `on_missing` says what becomes of it while what it needs is not effective: "refuse", which is what is done without
    it, or "defer", which holds it for at most `hold_seconds` (`docs/deferred.md`).
    """

    asserts: Claims
    contests: Claims
    vetoes: Claims
    reads: Sequence[Claim | Field | str]
    writes: Writes
    on_missing: OnMissing
    hold_seconds: float | None


class Computing(Touches, Durable, total=False):
    """What a Process is given."""


class Asking(Touches, Carried, total=False):
    """What a step that asks a model is given."""


class ToolBounds(TypedDict, total=False):
    """Bounds of a tool; see `machine.runs.Tool`."""

    trusted: bool
    seconds: float
    memory_bytes: int
    output_bytes: int


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
        self._declare(name, _kind(name, kind), payload, None, touches)

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
        return self._decorator(Kind.PROCESS, name, given)

    def derivation(self, *, name: str | None = None, **given: Unpack[Asking]) -> Callable[[Judged], Judged]:
        """Declare a Derivation. Over a payload model it is a recorded judgement. Over a function a model judges: the
        function takes payload and `View` and returns the prompt, its docstring are the instructions, and the model's
        structured answer is an `output`, whose members go to fields as `writes` says.

        A coroutine function `(payload, view, run)` asks for itself (`docs/agents.md`) and returns a `Section`.
        """
        return self._decorator(Kind.DERIVATION, name, given)

    def procedure(self, *, name: str | None = None, **given: Unpack[Asking]) -> Callable[[Judged], Judged]:
        """Declare a Procedure, which decides on what comes next: one or more of its `targets`.

        Over a function without `model` it is computed inside the turn and returns LangGraph's `Command(goto=…)`; with a
        `model` the function returns the prompt, and the model chooses among the targets. Over a payload model it is a
        recorded decision.
        """
        return self._decorator(Kind.PROCEDURE, name, given)

    def inquiry(self, *, name: str | None = None, **given: Unpack[Asking]) -> Callable[[Judged], Judged]:
        """Declare an Inquiry: as a Derivation, but open. Without `output` the answer is text, its member `text`."""
        return self._decorator(Kind.INQUIRY, name, given)

    def _decorator(self, kind: Kind, name: str | None, given: Computing | Asking) -> Callable[[Judged], Judged]:
        def declare(target: Judged) -> Judged:
            step = name or target.__name__
            model = _as_model(target)
            if model is not None:
                self._declare(step, kind, model, None, given)
                return target
            # A payload model may be local to the function that declares the machine.
            frame = inspect.currentframe()
            local = frame.f_back.f_locals if frame and frame.f_back else {}
            self._declare(step, kind, payload_annotation(target, local), target, given)
            return target

        return declare

    def _declare(
        self,
        name: str,
        kind: Kind,
        payload: Payload | None,
        closure: Callable[..., object] | None,
        touches: Touches | Computing | Asking,
    ) -> None:
        writes = touches.get("writes", ())
        fields = names_of(tuple(writes))
        pairs = _pairs(writes)
        if closure is None and fields and not pairs:
            sentence = f"step {name!r} is recorded: map each field it writes to the payload member that holds the value"
            self.declaration.note(Law.MEMBERS_FIT, sentence, step=name, fields=list(fields))
        run = None if closure is None else run_plan(kind, closure, touches, pairs)
        if closure is not None and pairs and (run is None or run.output is None):
            sentence = f"step {name!r} computes what it writes: list the fields, and leave the payload members out"
            self.declaration.note(Law.CLOSURES_RUN, sentence, step=name, fields=list(fields))
        self.declaration.add(
            StepDeclaration(
                name=name,
                kind=kind,
                asserts=names_of(touches.get("asserts", ())),
                contests=names_of(touches.get("contests", ())),
                vetoes=names_of(touches.get("vetoes", ())),
                reads=names_of(touches.get("reads", ())),
                writes=fields,
                recorded=pairs if closure is None else (),
                payload=payload if payload is None or isinstance(payload, type) else tuple(payload),
                closure=closure,
                run=run,
                targets=tuple(cast(Durable, touches).get("targets", ())),
                on_missing=touches.get("on_missing", "refuse"),
                hold_seconds=touches.get("hold_seconds"),
            )
        )


def _as_model(target: object) -> type[BaseModel] | None:
    return target if isinstance(target, type) and issubclass(target, BaseModel) else None


def _pairs(writes: Writes) -> tuple[tuple[str, str], ...]:
    """Field and payload member, where `writes` says so."""
    if not isinstance(writes, Mapping):
        return ()
    found = {item if isinstance(item, str) else item.name: member for item, member in writes.items()}
    return tuple(sorted(found.items()))


def _kind(step: str, given: str) -> Kind:
    if given in list(Kind):
        return Kind(given)
    sentence = f"step {step!r}: the kind is one of {', '.join(Kind)}"
    raise RelmError(Code.MACHINE_INVALID, sentence, step=step, kind=given)
