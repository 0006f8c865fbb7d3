"""Refusals by laws of authors' own, in words and as witness."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from relmachine.errors import Code
from relmachine.gates.own_law_facts import Sight, terms
from relmachine.gates.own_law_process import Violations
from relmachine.gates.own_law_scene import Scene
from relmachine.gates.own_law_terms import NoNumberError
from relmachine.gates.own_law_vocabulary import THIS
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.canonical import canonical_time

SAID_CHARACTERS_MAX = 200
"""Length of a violation's arguments in a sentence."""

WITNESSED_MAX = 3
"""Violations that a witness shows; it counts them all."""


def broken(sight: Sight, case: OwnLawCase, found: Violations) -> Refusal:
    """The refusal of a step that breaks a law: the arguments of its violations, events by step and id.

    `given` in the witness is what of the refused step itself the law could look at, which is kept nowhere else.
    """
    seen = terms(sight, case.scene)
    ids = dict(zip(seen, _visible_ids(sight, case), strict=True))
    violations = [[_shown(term, ids) for term in atom] for atom in found.atoms[:WITNESSED_MAX]]
    step, law = case.scene.step.step, sight.law.name
    said = _cut(", ".join(_said(term) for term in found.atoms[0]))
    witness: dict[str, object] = {"law": law, "violations": violations, "given": _given(sight, case.scene)}
    if found.count > len(violations):
        witness["count"] = found.count
    why = f": {said}" if said else ""
    sentence = f"law {law!r} forbids step {step!r} here{why}; the witness has what it speaks of"
    return Refusal(Code.LAW_BROKEN, GateName.LAWS, sentence, witness)


def exceeded(sight: Sight, scene: Scene, name: str, value: float | None) -> Refusal:
    """The refusal of a step that a law cannot be asked about within the limit called `name`."""
    law, step = sight.law.name, scene.step.step
    what = _OUTRIGHT.get(name) or f"takes more than {name} allows"
    sentence = f"law {law!r} {what} to judge step {step!r}: make the law simpler, or let it read less"
    witness: dict[str, object] = {"law": law, "limit": name}
    return Refusal(Code.LAW_LIMIT, GateName.LAWS, sentence, witness if value is None else {**witness, name: value})


_OUTRIGHT = {"crash": "makes the solver crash", "numbers": "calculates with what is no number of 32 bits"}


def unspeakable(sight: Sight, scene: Scene, found: NoNumberError) -> Refusal:
    """The refusal of a step because a law reads a number that it cannot be told."""
    law, step, field = sight.law.name, scene.step.step, found.field
    sentence = (
        f"law {law!r} cannot judge step {step!r}: field {field!r} is {found.text[:SAID_CHARACTERS_MAX]}, and laws know "
        f"whole numbers of 32 bits only; use another unit, or let the law not read it"
    )
    witness: dict[str, object] = {"law": law, "limit": "numbers", "field": field}
    return Refusal(Code.LAW_LIMIT, GateName.LAWS, sentence, witness)


def _visible_ids(sight: Sight, case: OwnLawCase) -> list[str]:
    ids = case.event_ids()
    return [one for one, event in zip(ids, case.scene.past, strict=True) if event.step in sight.steps]


def _given(sight: Sight, scene: Scene) -> dict[str, object]:
    given: dict[str, object] = {}
    if "principal" in sight.lifted.looks and scene.step.step in sight.law.principals:
        given["principal"] = scene.step.principal
    if "value" in sight.lifted.looks and scene.written:
        given["values"] = dict(scene.written)
    return given


def _cut(said: str) -> str:
    return said if len(said) <= SAID_CHARACTERS_MAX else said[:SAID_CHARACTERS_MAX] + "…"


def _shown(term: Any, ids: Mapping[str, str]) -> object:
    """An argument of a violation as JSON: events with their ids, times as text."""
    match term:
        case ["e", str(step), int(number)]:
            return {"step": step, "number": number, "event": ids.get(f'e("{step}",{number})', "")}
        case ["this"]:
            return THIS
        case ["at", int(day), int(second), int(micro)]:
            return _time(day, second, micro) or _said(term)
        case ["true"] | ["false"]:
            return term == ["true"]
        case int() | str():
            return term
        case _:
            return _said(term)


def _said(term: Any) -> str:
    """An argument of a violation in words."""
    match term:
        case ["e", str(step), int(number)]:
            return f"{step} no. {number}"
        case ["this"]:
            return "this step"
        case ["at", int(day), int(second), int(micro)] if (time := _time(day, second, micro)) is not None:
            return time
        case [str(name)]:
            return name
        case [str(name), *arguments]:
            return f"{name}({', '.join(_said(one) for one in arguments)})"
        case _:
            return str(term)


def _time(day: int, second: int, micro: int) -> str | None:
    try:
        return canonical_time(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(day, second, micro))
    except OverflowError:  # a law may calculate whatever it likes
        return None
