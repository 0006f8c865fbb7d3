"""What rules of a law of the author's own look like: those that have but one answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clingo.ast import ASTType, Sign, Transformer

from relmachine.gates.own_law_program import Tree
from relmachine.gates.own_law_vocabulary import VIOLATION
from relmachine.machine.own_law import Flaw

_PREDICATE = re.compile(r"[a-z][A-Za-z0-9_]*")


def strange(rule: Tree) -> Iterator[Flaw]:
    """Rules `atom :- body.` without choices, disjunctions and whatever else could give several answers, or none."""
    line = rule.location.begin.line
    if rule.ast_type is not ASTType.Rule:
        yield Flaw(line, "a law consists of rules alone")
        return
    head = rule.head
    if head.ast_type is not ASTType.Literal or head.atom.ast_type is not ASTType.SymbolicAtom:
        yield Flaw(line, f"let every rule derive one atom, {VIOLATION}(…) for what is forbidden")
        return
    if head.sign != Sign.NoSign:
        yield Flaw(line, "a rule derives what holds, not what does not")
    for part in rule.body:
        if part.ast_type is ASTType.Literal and part.atom.ast_type is ASTType.TheoryAtom:
            yield Flaw(line, "there are no theories here")
    found: list[str] = []
    _Strange(found).visit(rule)
    yield from (Flaw(line, sentence) for sentence in found)


class _Strange(Transformer):
    """Terms and signs that a law does not use."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def visit_SymbolicAtom(self, atom: Tree) -> Tree:  # noqa: N802
        """Only p(…)."""
        if atom.symbol.ast_type is ASTType.UnaryOperation:
            self._found.append("write `not p(…)` for what does not hold; `-p(…)` is another predicate")
        elif atom.symbol.ast_type is not ASTType.Function:
            self._found.append("write a rule for each alternative instead of `p(a;b)`")
        elif not _PREDICATE.fullmatch(atom.symbol.name):
            self._found.append(f"begin the name of predicate {atom.symbol.name!r} with a letter")
        else:
            self.visit_children(atom)
        return atom

    def visit_Literal(self, literal: Tree) -> Tree:  # noqa: N802
        """No `not not`."""
        if literal.sign == Sign.DoubleNegation:
            self._found.append("take `not not` away")
        self.visit_children(literal)
        return literal

    def visit_Function(self, function: Tree) -> Tree:  # noqa: N802
        """No `@f(…)`."""
        if function.external:
            self._found.append(f"there is no function @{function.name}")
        self.visit_children(function)
        return function

    def visit_Pool(self, pool: Tree) -> Tree:  # noqa: N802
        """No `(a;b)`."""
        self._found.append("write a rule for each alternative instead of `(a;b)`")
        return pool
