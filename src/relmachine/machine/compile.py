"""From a checked declaration to the frozen plan, and the digests that name it.

Source: `docs/math.md` section 1 (laws digest: identity; plan digest: evidence).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from relmachine.algebra.identity import digest
from relmachine.machine.canonical import canonical_text
from relmachine.machine.declaration import Declaration, StepDeclaration
from relmachine.machine.dependence import Dependence, derive, mask_rows
from relmachine.machine.footprint import rests_on
from relmachine.machine.payload import normal_schema, payload_model
from relmachine.machine.plan import HOLD_SECONDS, ClaimPlan, FieldPlan, Kind, Plan, StepPlan


def compile_plan(declaration: Declaration, evidence: Mapping[str, str]) -> Plan:
    """The plan of a declaration that breaks no law."""
    numbers = {name: index for index, name in enumerate(sorted(declaration.claims))}
    names = sorted(declaration.steps)
    pairs = derive(declaration)
    laws = laws_digest(declaration)
    saturation, transfer, vetoable = stability(declaration)
    return Plan(
        machine=declaration.name,
        version=declaration.version,
        laws_digest=laws,
        digest=digest("plan", laws, declaration.version, canonical_text(dict(evidence))),
        matrix_digest=matrix_digest(names, pairs),
        claims=_claims(declaration, numbers),
        steps=tuple(_step(declaration, declaration.steps[name], index, numbers) for index, name in enumerate(names)),
        fields=MappingProxyType(
            {name: FieldPlan(name, item.type, item.reducer) for name, item in sorted(declaration.fields.items())}
        ),
        dependent=mask_rows(names, pairs),
        stable_saturation=_mask(numbers, saturation),
        stable_transfer=_mask(numbers, transfer),
        vetoable=_mask(numbers, vetoable),
        step_index=MappingProxyType({name: index for index, name in enumerate(names)}),
        claim_index=MappingProxyType(numbers),
        own_laws=tuple(law for _, law in sorted(declaration.own_laws.items())),
        models=MappingProxyType(dict(declaration.models)),
        budget=declaration.budget,
    )


def stability(declaration: Declaration) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """S, R and the vetoable claims (math.md section 2): a claim takes the intersection of its asserting kinds."""
    kinds: dict[str, list[Kind]] = {name: [] for name in declaration.claims}
    vetoable: set[str] = set()
    for step in declaration.steps.values():
        vetoable.update(kinds.keys() & set(step.vetoes))
        for name in kinds.keys() & set(step.asserts):
            kinds[name].append(step.kind)
    saturation = {name for name, found in kinds.items() if found and all(kind.saturation_stable for kind in found)}
    transfer = {name for name, found in kinds.items() if found and all(kind.transfer_stable for kind in found)}
    return frozenset(saturation), frozenset(transfer - vetoable), frozenset(vetoable)


def laws_digest(declaration: Declaration) -> str:
    """Digest of everything that decides what a step means: the machine's identity, without its version.

    Recorded and computed steps with the same footprint and payload have the same laws: how a contribution comes about
    is part of the event's own id.
    """
    laws: dict[str, object] = {
        "machine": declaration.name,
        "claims": {name: sorted(item.requires) for name, item in declaration.claims.items()},
        "fields": {name: [item.type, item.reducer] for name, item in declaration.fields.items()},
        "steps": {name: _laws_of(declaration, step) for name, step in declaration.steps.items()},
        "dependent": sorted({(min(pair), max(pair)) for pair in declaration.dependent}),
    }
    if declaration.own_laws:
        laws["own_laws"] = {name: law.text for name, law in declaration.own_laws.items()}
    return digest("laws", canonical_text(laws))


def matrix_digest(steps: list[str], pairs: Dependence) -> str:
    """Digest of Σ and the dependence relation: the stream's metadata."""
    return digest("matrix", canonical_text({"steps": sorted(steps), "dependent": sorted(pairs)}))


def _laws_of(declaration: Declaration, step: StepDeclaration) -> dict[str, object]:
    targets = {"targets": sorted(set(step.targets))} if step.targets else {}
    defers = {"on_missing": step.on_missing} if step.on_missing != "refuse" else {}
    return {
        **targets,
        **defers,
        "kind": step.kind,
        "asserts": sorted(step.asserts),
        "contests": sorted(step.contests),
        "vetoes": sorted(step.vetoes),
        "reads": sorted(step.reads),
        "writes": sorted(step.writes),
        "payload": normal_schema(payload_model(declaration, step)),
    }


def _claims(declaration: Declaration, numbers: Mapping[str, int]) -> tuple[ClaimPlan, ...]:
    below = rests_on(declaration.claims)
    return tuple(
        ClaimPlan(
            index=index,
            name=name,
            requires=_mask(numbers, declaration.claims[name].requires),
            up=_mask(numbers, {name, *below[name]}),
        )
        for name, index in numbers.items()
    )


def _step(declaration: Declaration, step: StepDeclaration, index: int, numbers: Mapping[str, int]) -> StepPlan:
    required = [name for claim in step.asserts for name in declaration.claims[claim].requires]
    return StepPlan(
        index=index,
        name=step.name,
        kind=step.kind,
        asserts=_mask(numbers, step.asserts),
        contests=_mask(numbers, step.contests),
        vetoes=_mask(numbers, step.vetoes),
        needs=_mask(numbers, (*required, *(name for name in step.reads if name in numbers))),
        read_fields=frozenset(name for name in step.reads if name in declaration.fields),
        writes=frozenset(step.writes),
        recorded=step.recorded,
        payload_model=payload_model(declaration, step),
        closure=step.closure,
        run=step.run,
        targets=frozenset(step.targets),
        defers=step.on_missing == "defer",
        hold_seconds=HOLD_SECONDS if step.hold_seconds is None else step.hold_seconds,
    )


def _mask(numbers: Mapping[str, int], names: tuple[str, ...] | frozenset[str] | set[str]) -> int:
    return sum(1 << numbers[name] for name in set(names))
