"""The law about laws of the author's own: each names what there is, and its rules keep to the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from importlib import import_module
from typing import cast

from relmachine.machine.declaration import Declaration
from relmachine.machine.laws_of_names import is_name
from relmachine.machine.own_law import Flaw, OwnLaw
from relmachine.machine.report import Finding

PROGRAM_CHECK = "relmachine.gates.own_law_check"
"""Where the rules are read. That takes the solver's own grammar, which this room knows nothing of; so it is called by
name, and only for a machine that has such laws."""

OWN_LAWS_MAX = 64
"""Laws of the author's own in one machine."""


def own_laws_sound(declaration: Declaration) -> Iterator[Finding]:
    """Each law's file can be read, names what the machine has, and has rules that mean something."""
    if len(declaration.own_laws) > OWN_LAWS_MAX:
        sentence = f"keep to {OWN_LAWS_MAX} laws of your own: join some"
        yield Finding(sentence, {"laws": len(declaration.own_laws), "own_laws_max": OWN_LAWS_MAX})
    for law in declaration.own_laws.values():
        flaws = law.flaws or tuple(_unknown(declaration, law)) or _of_program(declaration, law)
        for flaw in flaws:
            sentence = f"law {law.name!r}, line {flaw.line}: {flaw.sentence}"
            yield Finding(sentence, {"law": law.name, "line": flaw.line})


def _unknown(declaration: Declaration, law: OwnLaw) -> Iterator[Flaw]:
    if not is_name(law.name):
        yield Flaw(1, "call a law in a-z, 0-9 and _, beginning with a letter, with at most 64 characters")
    steps = declaration.steps.keys()
    parts: tuple[tuple[str, tuple[str, ...], Set[str]], ...] = (
        ("step", (*law.guards, *law.steps), steps),
        ("claim", law.claims, declaration.claims.keys()),
        ("field", law.fields, declaration.fields.keys()),
    )
    for what, names, known in parts:
        for name in dict.fromkeys(names):
            if name not in known:
                yield Flaw(_line(law, name), f"there is no {what} {name!r}: declare it, or correct the name")


def _line(law: OwnLaw, name: str) -> int:
    place = law.text.find(f'"{name}"')
    return law.text.count("\n", 0, max(place, 0)) + 1


def _of_program(declaration: Declaration, law: OwnLaw) -> Iterable[Flaw]:
    check = cast("Callable[[Declaration, OwnLaw], Iterable[Flaw]]", import_module(PROGRAM_CHECK).flaws)
    return check(declaration, law)
