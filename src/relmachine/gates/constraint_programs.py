"""The programs of the constraint layer: their text, their digest, and one solve that names what is broken.

Python only writes facts and reads `violation(Law, Subject, Witness)`; every law is decided in `relmachine/constraints`.
The programs are stratified, so a solve has exactly one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from clingo import Control, Symbol, SymbolType

from relmachine.algebra.identity import digest

Term = int | str | None | tuple[str, int]
"""A member of a witness: a number, a name, None for what is not there (`#sup`), or a number of some kind."""


@dataclass(frozen=True, slots=True)
class Found:
    """One `violation` atom. `subject` is the number of the fiber, map, order, family or step in the facts."""

    law: str
    subject: int
    witness: tuple[Term, ...]


@cache
def program_text(name: str) -> str:
    """Text of `relmachine/constraints/<name>.lp`. Raises FileNotFoundError when there is none."""
    return (files("relmachine") / "constraints" / f"{name}.lp").read_text(encoding="utf-8")


@cache
def programs_digest() -> str:
    """Digest over all programs of gate 3, by name: evidence for the plan."""
    folder = files("relmachine") / "constraints"
    names = sorted(entry.name.removesuffix(".lp") for entry in folder.iterdir() if entry.name.endswith(".lp"))
    return digest("constraints", *(part for name in names for part in (name, program_text(name))))


def solve(programs: Sequence[str], facts: str) -> list[Found]:
    """Every violation that `programs` find in `facts`, sorted by subject, law and witness.

    Thread-safe, and most of its time is spent outside the interpreter's lock.
    """
    control = Control(["--warn=none"])
    control.add("base", [], "".join(map(program_text, programs)) + facts)
    control.ground([("base", [])])
    found: list[Found] = []
    with control.solve(yield_=True) as handle:
        answers = 0
        for model in handle:
            answers += 1
            found = [_found(symbol) for symbol in sorted(model.symbols(shown=True))]
    assert answers == 1, "a stratified program has exactly one answer"
    return sorted(found, key=lambda item: (item.subject, item.law))


def _found(symbol: Symbol) -> Found:
    law, subject, witness = symbol.arguments
    return Found(law.name, subject.number, tuple(_term(member) for member in witness.arguments))


def _term(symbol: Symbol) -> Term:
    if symbol.type is SymbolType.Number:
        return symbol.number
    if symbol.type is not SymbolType.Function:
        return None
    if not symbol.arguments:
        return symbol.name
    (inner,) = symbol.arguments
    return (symbol.name, inner.number) if inner.type is SymbolType.Number else None
