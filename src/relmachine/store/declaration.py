"""A plan as JSON text, so that whoever reads the store understands it without the machine's file.

`{machine, version, laws_digest, digest, matrix_digest, claims: [{name, requires, stable_saturation, stable_transfer,
vetoable}], steps: [{name, kind, asserts, contests, vetoes, needs, reads, writes, recorded, dependent, targets,
on_missing}], fields: [{name, type, reducer}], own_laws: [{name, text}]}`, `targets`, `on_missing` and laws only where
there are any. Claims and
steps are named, not numbered; `dependent` lists the steps that a step depends on, `targets` those it may propose.
"""

from __future__ import annotations

import orjson
from pydantic import BaseModel, ConfigDict

from relmachine.machine.own_law import parse_own_law
from relmachine.machine.plan import ClaimPlan, FieldPlan, Plan, StepPlan
from relmachine.store.declared import Declared, DeclaredClaim, DeclaredField, DeclaredLaw, DeclaredStep


class UnknownPayload(BaseModel):
    """Payload model of a plan read back from a store, which keeps neither payload models nor closures."""

    model_config = ConfigDict(extra="allow")


def dump_plan(plan: Plan) -> str:
    """`plan` as the JSON text of the `plans` table."""
    return orjson.dumps(_declared(plan).model_dump(mode="json", exclude_none=True)).decode()


def same_laws(one: Plan, other: Plan) -> bool:
    """Whether two plans say the same of claims, steps and fields.

    Version and digest may differ, and so may how a step comes to its contributions, which its events' ids show.
    """
    return _laws(one) == _laws(other)


def _laws(plan: Plan) -> Declared:
    declared = _declared(plan)
    steps = [step.model_copy(update={"recorded": {}}) for step in declared.steps]
    return declared.model_copy(update={"version": "", "digest": "", "steps": steps})


def _declared(plan: Plan) -> Declared:
    names = plan.claim_names
    return Declared(
        machine=plan.machine,
        version=plan.version,
        laws_digest=plan.laws_digest,
        digest=plan.digest,
        matrix_digest=plan.matrix_digest,
        claims=[
            DeclaredClaim(
                name=claim.name,
                requires=list(names(claim.requires)),
                stable_saturation=bool(plan.stable_saturation >> claim.index & 1),
                stable_transfer=bool(plan.stable_transfer >> claim.index & 1),
                vetoable=bool(plan.vetoable >> claim.index & 1),
            )
            for claim in plan.claims
        ],
        steps=[_declared_step(plan, step) for step in plan.steps],
        fields=[
            DeclaredField(name=field.name, type=field.type, reducer=field.reducer)
            for _, field in sorted(plan.fields.items())
        ],
        own_laws=[DeclaredLaw(name=law.name, text=law.text) for law in plan.own_laws] or None,
    )


def _declared_step(plan: Plan, step: StepPlan) -> DeclaredStep:
    return DeclaredStep(
        name=step.name,
        kind=step.kind,
        asserts=list(plan.claim_names(step.asserts)),
        contests=list(plan.claim_names(step.contests)),
        vetoes=list(plan.claim_names(step.vetoes)),
        needs=list(plan.claim_names(step.needs)),
        reads=sorted(step.read_fields),
        writes=sorted(step.writes),
        recorded=dict(step.recorded),
        dependent=[other.name for other in plan.steps if plan.dependent[step.index] >> other.index & 1],
        targets=sorted(step.targets) or None,
        on_missing="defer" if step.defers else None,
    )


def load_plan(text: str) -> Plan:
    """The plan in `text`, equal to the one dumped but for payload models and closures.

    Raises ValueError (of Pydantic) for text that is no declaration, KeyError for a name that it does not declare.
    """
    declared = Declared.model_validate_json(text)
    claim_index = {claim.name: index for index, claim in enumerate(declared.claims)}
    step_index = {step.name: index for index, step in enumerate(declared.steps)}

    def mask(names: list[str]) -> int:
        return sum(1 << claim_index[name] for name in names)

    return Plan(
        machine=declared.machine,
        version=declared.version,
        laws_digest=declared.laws_digest,
        digest=declared.digest,
        matrix_digest=declared.matrix_digest,
        claims=_claims(declared, claim_index),
        steps=tuple(
            StepPlan(
                index=index,
                name=step.name,
                kind=step.kind,
                asserts=mask(step.asserts),
                contests=mask(step.contests),
                vetoes=mask(step.vetoes),
                needs=mask(step.needs),
                read_fields=frozenset(step.reads),
                writes=frozenset(step.writes),
                recorded=tuple(step.recorded.items()),
                payload_model=UnknownPayload,
                targets=frozenset(step.targets or ()),
                defers=step.on_missing == "defer",
            )
            for index, step in enumerate(declared.steps)
        ),
        fields={field.name: FieldPlan(field.name, field.type, field.reducer) for field in declared.fields},
        dependent=tuple(sum(1 << step_index[name] for name in step.dependent) for step in declared.steps),
        stable_saturation=mask([claim.name for claim in declared.claims if claim.stable_saturation]),
        stable_transfer=mask([claim.name for claim in declared.claims if claim.stable_transfer]),
        vetoable=mask([claim.name for claim in declared.claims if claim.vetoable]),
        step_index=step_index,
        claim_index=claim_index,
        own_laws=tuple(parse_own_law(law.name, law.text) for law in declared.own_laws or ()),
    )


def _claims(declared: Declared, claim_index: dict[str, int]) -> tuple[ClaimPlan, ...]:
    direct = [[claim_index[name] for name in claim.requires] for claim in declared.claims]
    up: dict[int, int] = {}

    def up_of(index: int) -> int:
        if index not in up:
            up[index] = 1 << index
            for other in direct[index]:
                up[index] |= up_of(other)
        return up[index]

    return tuple(
        ClaimPlan(index, claim.name, sum(1 << other for other in direct[index]), up_of(index))
        for index, claim in enumerate(declared.claims)
    )


def accord_text(plan: Plan) -> str:
    """The accord type's canonical text: its fields with types and reducers, sorted by name."""
    rows = [[field.name, str(field.type), str(field.reducer)] for _, field in sorted(plan.fields.items())]
    return orjson.dumps(rows).decode()
