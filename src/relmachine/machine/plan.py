"""The frozen plan of a machine: what every turn runs on, compiled once to bitmasks.

Claims and steps are numbered in sorted name order, so two declarations with the same laws give the same numbers.
A mask over claims or steps has bit `i` set for number `i`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from relmachine.machine.own_law import OwnLaw
    from relmachine.machine.runs import RunPlan, ThreadBudget


HOLD_SECONDS = 3600.0
"""How long a step is held that says nothing else."""


class Kind(StrEnum):
    """Closure kind of a step: which nuclei its claims are stable under (math.md section 2)."""

    PROCESS = "process"
    DERIVATION = "derivation"
    PROCEDURE = "procedure"
    INQUIRY = "inquiry"

    @property
    def saturation_stable(self) -> bool:
        """Whether its claims lie in S."""
        return self in (Kind.PROCESS, Kind.PROCEDURE)

    @property
    def transfer_stable(self) -> bool:
        """Whether its claims may lie in R (they do when nothing can veto them)."""
        return self in (Kind.PROCESS, Kind.DERIVATION)


class Reducer(StrEnum):
    """How a field's contributions fold to its value (math.md section 3)."""

    UNION = "union"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    ONCE = "once"
    LOG = "log"

    @property
    def ordered(self) -> bool:
        """Whether two writers of the field are dependent."""
        return self in (Reducer.ONCE, Reducer.LOG)


class FieldType(StrEnum):
    """Type of a field's values and of a recorded payload member."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One field of the accord."""

    name: str
    type: FieldType
    reducer: Reducer


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """One claim. `up` is the mask of the claim and all it rests on; `requires` of its direct prerequisites."""

    index: int
    name: str
    requires: int
    up: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step type: its footprint as masks over claims, its fields by name, and what runs.

    `needs` is what must be effective before it: the direct prerequisites of what it asserts and the claims it reads.
    `writes` are the fields it may write; `recorded` maps a field to the payload member that is its contribution.
    A step with a `closure` is *computed*: `closure(payload, view)` returns the contributions; otherwise *recorded*.
    With a `run` it is *detached*: its closure runs outside the turn, and its answer comes back by the stream.
    `targets` are the steps that a procedure may propose. A step that `defers` is held, for `hold_seconds` and then
    refused, when nothing speaks against it but that what it needs is not effective yet.
    """

    index: int
    name: str
    kind: Kind
    asserts: int
    contests: int
    vetoes: int
    needs: int
    read_fields: frozenset[str]
    writes: frozenset[str]
    recorded: tuple[tuple[str, str], ...]
    payload_model: type[BaseModel]
    closure: Callable[..., object] | None = None
    run: RunPlan | None = None
    targets: frozenset[str] = frozenset()
    defers: bool = False
    hold_seconds: float = HOLD_SECONDS

    @property
    def computed(self) -> bool:
        """Whether its contributions come from running its closure inside the turn."""
        return self.closure is not None and self.run is None

    @property
    def detached(self) -> bool:
        """Whether it runs outside the turn."""
        return self.run is not None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A checked machine, compiled. Immutable while it is in use; `laws_digest` is identity, `digest` is evidence.

    `dependent[i]` is the mask over steps that depend on step `i` (always with bit `i`). `stable_saturation` is S and
    `stable_transfer` is R of math.md section 2, over all declared claims. `vetoable` are claims some step vetoes.
    `own_laws` are the laws that the author added, by name. `models` are the author's bindings: a model string or a
    PydanticAI model by name. `budget` is what the runs of one thread may spend together.
    """

    machine: str
    version: str
    laws_digest: str
    digest: str
    matrix_digest: str
    claims: tuple[ClaimPlan, ...]
    steps: tuple[StepPlan, ...]
    fields: Mapping[str, FieldPlan]
    dependent: tuple[int, ...]
    stable_saturation: int
    stable_transfer: int
    vetoable: int
    step_index: Mapping[str, int]
    claim_index: Mapping[str, int]
    own_laws: tuple[OwnLaw, ...] = ()
    models: Mapping[str, object] = field(default_factory=dict[str, object])
    budget: ThreadBudget | None = None

    def step(self, name: str) -> StepPlan | None:
        """The step type called `name`, or None when the machine has none."""
        index = self.step_index.get(name)
        return None if index is None else self.steps[index]

    def claim_names(self, mask: int) -> tuple[str, ...]:
        """Names of the claims in `mask`, sorted."""
        return _names(self, mask)

    def claim_mask(self, *names: str) -> int:
        """Mask of the claims called `names`."""
        return sum(1 << self.claim_index[name] for name in set(names))


@lru_cache(maxsize=65_536)
def _names(plan: Plan, mask: int) -> tuple[str, ...]:
    return tuple(claim.name for claim in plan.claims if mask >> claim.index & 1)
