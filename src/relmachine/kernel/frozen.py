"""The frozen plan of one run: all that it goes by, fixed when its step is opened. Evidence, not identity.

A change of the machine's code, of a binding, a budget or a policy applies from the next step on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

import orjson

from relmachine.algebra.identity import digest
from relmachine.machine.canonical import canonical_text
from relmachine.machine.closures import code_digest
from relmachine.machine.payload import normal_schema
from relmachine.machine.plan import Plan, StepPlan
from relmachine.machine.runs import Budget, RunPlan

SEED_BITS = 31
"""Width of the seed that models are given, as far as they take one."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """`plan_digest` covers laws, version, policy bundle and constraint programs. `model` and `fallback` are bindings: a
    model string, or the name of what the machine's author bound. Digests are those of code, schemas and texts.
    """

    machine: str
    version: str
    laws_digest: str
    plan_digest: str
    step: str
    closure: str
    instructions: str
    output: str
    tools: dict[str, str]
    model: str
    fallback: str
    budget: Budget
    seed: int

    def text(self) -> str:
        """Canonical JSON."""
        return canonical_text(asdict(self))

    def digest(self) -> str:
        """Its name in the store."""
        return frozen_digest(self.text())

    @classmethod
    def load(cls, text: str) -> Frozen:
        """Inverse of `text`."""
        raw = cast(dict[str, object], orjson.loads(text))
        return cls(**{**raw, "budget": Budget(**cast(dict[str, float], raw["budget"]))})  # pyright: ignore[reportArgumentType]


def frozen_digest(text: str) -> str:
    """The name of a frozen plan, by its text."""
    return digest("frozen", text)


def is_plan_of(text: str, plan: Plan, step: str, step_key: str) -> bool:
    """Whether the text is a frozen plan of a run of that step, under whatever models and budget."""
    try:
        frozen = Frozen.load(text)
    except (ValueError, TypeError, KeyError):
        return False
    of = (plan.machine, plan.laws_digest, step, _seed(plan, step_key))
    return (frozen.machine, frozen.laws_digest, frozen.step, frozen.seed) == of


def freeze(plan: Plan, step: StepPlan, step_key: str, model: str, fallback: str, budget: Budget) -> Frozen:
    """The plan of a run of `step`, which is detached: `model` and `fallback` are bound, `budget` is what is left."""
    run = step.run
    assert run is not None, "only steps that run outside their turn have a plan of their own"
    return Frozen(
        machine=plan.machine,
        version=plan.version,
        laws_digest=plan.laws_digest,
        plan_digest=plan.digest,
        step=step.name,
        closure=_code(step, run),
        instructions=digest("text", run.instructions),
        output="" if run.output is None else digest("schema", canonical_text(normal_schema(run.output))),
        tools={**{tool.name: code_digest(tool.function) for tool in run.tools}, **dict.fromkeys(run.own_tools, "own")},
        model=model,
        fallback=fallback,
        budget=budget,
        seed=_seed(plan, step_key),
    )


def _seed(plan: Plan, step_key: str) -> int:
    return int(digest("seed", plan.laws_digest, step_key)[:16], 16) >> (64 - SEED_BITS)


def _code(step: StepPlan, run: RunPlan) -> str:
    """Digest of what computes in the step: its closure, and the one that answers where models give nothing."""
    own = "" if step.closure is None else code_digest(step.closure)
    return own if run.fallback_closure is None else digest("closures", own, code_digest(run.fallback_closure))
