"""Laws about claims, footprints and the two nuclei.

Source: `docs/math.md` sections 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from relmachine.algebra.nuclei import commutation_violation
from relmachine.algebra.posets import Poset
from relmachine.machine.compile import stability
from relmachine.machine.declaration import Claim, Declaration, StepDeclaration
from relmachine.machine.dependence import reasons
from relmachine.machine.footprint import footprints, rests_on
from relmachine.machine.plan import Kind
from relmachine.machine.report import Finding


def requires_acyclic(declaration: Declaration) -> Iterator[Finding]:
    """`requires` is an order: each cycle once, starting at its first claim in the alphabet."""
    reported: set[str] = set()
    below = rests_on(declaration.claims)
    for name in sorted(declaration.claims):
        if name in below[name] and name not in reported:
            cycle = _cycle(declaration.claims, name)
            reported.update(other for other in below[name] if name in below[other])
            yield Finding(f"{' requires '.join(cycle)}: take one of these prerequisites away", {"cycle": cycle})


def _cycle(claims: dict[str, Claim], start: str) -> list[str]:
    """A shortest way along `requires` from `start` back to it."""
    came_from: dict[str, str] = {}
    layer = [start]
    while start not in came_from:
        following: list[str] = []
        for name in layer:
            for required in claims[name].requires:
                if required in claims and required not in came_from:
                    came_from[required] = name
                    following.append(required)
        layer = following
    way = [start]
    while len(way) == 1 or way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def claims_asserted(declaration: Declaration) -> Iterator[Finding]:
    """A claim that no step asserts can never be effective."""
    asserted = {name for step in declaration.steps.values() for name in step.asserts}
    for name in declaration.claims:
        if name not in asserted:
            yield Finding(f"no step asserts {name!r}: add one, or remove the claim", {"claim": name})


def footprint_consistent(declaration: Declaration) -> Iterator[Finding]:
    """No step takes back what it asserts."""
    for step in declaration.steps.values():
        for part, names in (("contests", step.contests), ("vetoes", step.vetoes)):
            for name in sorted(set(step.asserts) & set(names)):
                sentence = f"step {step.name!r} asserts and {part} {name!r}: make it two steps"
                yield Finding(sentence, {"step": step.name, "asserts": name, part: name})


def ground_kept(declaration: Declaration) -> Iterator[Finding]:
    """No step takes back what its own assertions rest on."""
    below = rests_on(declaration.claims)
    for step in declaration.steps.values():
        for claim in step.asserts:
            for part, names in (("contests", step.contests), ("vetoes", step.vetoes)):
                for name in sorted(below.get(claim, frozenset()) & set(names)):
                    sentence = f"step {step.name!r} {part} {name!r}, which its own assertion {claim!r} rests on"
                    yield Finding(sentence, {"step": step.name, "asserts": claim, part: name})


def nuclei_commute(declaration: Declaration) -> Iterator[Finding]:
    """σΔ = Δσ: between a claim of R and a claim of S that it rests on, or the reverse, lies one of both.

    Not asked of a cycle, which is no order and is reported as such.
    """
    claims = declaration.claims
    known = {name: [other for other in item.requires if other in claims] for name, item in claims.items()}
    poset = Poset.from_prerequisites(known)
    if poset.violation() is not None:
        return
    saturation, transfer, vetoable = stability(declaration)
    violation = commutation_violation(poset, poset.mask(*transfer), poset.mask(*saturation))
    if violation is not None:
        claim, ground = violation.points
        said = [_standing(declaration, name, vetoable) for name in (claim, ground)]
        sentence = f"{said[0]} rests on {said[1]}: put a claim that only a Process asserts, and none vetoes, between"
        yield Finding(sentence, {"claim": claim, "rests_on": ground})


def _standing(declaration: Declaration, claim: str, vetoable: frozenset[str]) -> str:
    kinds = sorted({step.kind.capitalize() for step in _asserting(declaration, claim)})
    veto = ", vetoable" if claim in vetoable else ""
    return f"{claim!r} ({' and '.join(kinds)}{veto})"


def independence_true(declaration: Declaration) -> Iterator[Finding]:
    """Independence is derived; what an author states may only agree with it."""
    prints = footprints(declaration)
    added = {frozenset(pair) for pair in declaration.dependent}
    for one, other in declaration.independent:
        pair = [one, other]
        if one == other:
            yield Finding(f"step {one!r} depends on itself, as every step does", {"independent": pair})
        elif frozenset(pair) in added:
            yield Finding(f"{one!r} and {other!r} are declared dependent too: keep one", {"independent": pair})
        elif one in prints and other in prints:
            for why in reasons(prints[one], prints[other]):
                kind = _kind_of(declaration, why.witness)
                sentence = f"{one!r} and {other!r} are not independent: {why.sentence}"
                yield Finding(sentence, {"independent": pair, "rule": str(why.rule), kind: why.witness})


def _kind_of(declaration: Declaration, name: str) -> str:
    if name in declaration.claims:
        return "claim"
    return "field" if name in declaration.fields else "step"


def confirmation_apart(declaration: Declaration) -> Iterator[Finding]:
    """A claim takes the intersection of its asserting kinds, so the Process's assertion would not settle."""
    for claim in sorted(declaration.claims):
        steps = _asserting(declaration, claim)
        others = [step for step in steps if step.kind is not Kind.PROCESS]
        if others and len(others) < len(steps):
            sentence = f"{claim!r} never settles: {others[0].kind} {others[0].name!r} asserts it too; let the Process "
            sentence += "assert a claim of its own that rests on it"
            yield Finding(sentence, {"claim": claim, "steps": sorted(step.name for step in steps)})


def _asserting(declaration: Declaration, claim: str) -> list[StepDeclaration]:
    return [step for step in declaration.steps.values() if claim in step.asserts]
