"""Which literals of a rule's body give its variables values: what of the body means something without one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clingo.ast import ASTType, ComparisonOperator, Sign, Transformer

Tree = Any

_INNER = (ASTType.BodyAggregate, ASTType.Aggregate)


def without(rule: Tree, place: int) -> list[Tree]:
    """The literals of the body that mean something without the sum at `place`: those that do not hang on its result.

    Fewer literals mean more sums that are looked at, never fewer.
    """
    plain = [part for part in rule.body if not _is_inner(part)]
    outer = _names(rule.head).union(*map(_names, plain), *(_guarded(part) for part in rule.body))
    waiting = [part for index, part in enumerate(rule.body) if index != place]
    kept: list[Tree] = []
    bound = set[str]()
    while True:
        ready = [part for part in waiting if any(_names(part) & outer - new <= bound for new in _given(part))]
        if not ready:
            return kept
        waiting.remove(ready[0])
        kept.append(ready[0])
        bound |= _names(ready[0]) & outer


def _given(part: Tree) -> Iterator[set[str]]:
    """The sets of variables that a literal can give values, when it has the values of all others."""
    yield set()
    if part.ast_type is not ASTType.Literal or part.sign != Sign.NoSign:
        return
    atom = part.atom
    if atom.ast_type is ASTType.SymbolicAtom:
        yield _names(atom, _Matched)
    elif atom.ast_type is ASTType.Comparison and len(atom.guards) == 1:
        if atom.guards[0].comparison == ComparisonOperator.Equal:
            yield from ({side.name} for side in (atom.term, atom.guards[0].term) if side.ast_type is ASTType.Variable)
    elif atom.ast_type in _INNER:
        yield _guarded(part)


def _is_inner(part: Tree) -> bool:
    """Whether a literal can have variables of its own."""
    return part.ast_type is ASTType.ConditionalLiteral or part.atom.ast_type in _INNER


def _guarded(part: Tree) -> set[str]:
    """The variables that an aggregate is compared with."""
    if not _is_inner(part) or part.ast_type is ASTType.ConditionalLiteral:
        return set()
    guards = (part.atom.left_guard, part.atom.right_guard)
    return set[str]().union(*(_names(guard.term) for guard in guards if guard is not None))


class _Names(Transformer):
    def __init__(self) -> None:
        self.found = set[str]()

    def visit_Variable(self, variable: Tree) -> Tree:  # noqa: N802
        """Note the variable; `_` is another one everywhere."""
        if variable.name != "_":
            self.found.add(variable.name)
        return variable


class _Matched(_Names):
    """Variables that an atom gives values by its arguments: not those that something is calculated from."""

    def visit_Function(self, function: Tree) -> Tree:  # noqa: N802
        """Past calculations."""
        if not function.external:
            self.visit_children(function)
        return function

    def visit_BinaryOperation(self, term: Tree) -> Tree:  # noqa: N802
        """Past calculations."""
        return term

    def visit_UnaryOperation(self, term: Tree) -> Tree:  # noqa: N802
        """Past calculations."""
        return term

    def visit_Interval(self, term: Tree) -> Tree:  # noqa: N802
        """Past intervals."""
        return term


def _names(tree: Tree, kind: type[_Names] = _Names) -> set[str]:
    visitor = kind()
    visitor.visit(tree)
    return visitor.found
