"""Rules rewritten so that they never calculate wrongly: the solver's numbers have 32 bits, and it says nothing when a
result does not fit, or when something is no number.

Terms are handed to the worker's own functions (`own_law_worker.Exactly`), which know when a result is no such number.
Of a sum the solver wraps what it assigns, and cuts off what it compares with; but a total that reaches the largest
number it does tell. So each rule with a sum gets two more, which derive `_beyond` where the total is as large or as
small as that. Whoever asks takes neither for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clingo import Number
from clingo.ast import (
    AggregateFunction,
    ASTType,
    BinaryOperator,
    ComparisonOperator,
    Function,
    Guard,
    Literal,
    Sign,
    SymbolicAtom,
    SymbolicTerm,
    Transformer,
    UnaryOperator,
)
from clingo.symbol import SymbolType

from relmachine.gates.own_law_binding import without

Tree = Any

NUMBER_MAX = 2**31 - 1
"""The largest number, and but for its sign the smallest."""

BEYOND = "_beyond"

_BINARY = {
    BinaryOperator.Plus: "exactly_plus",
    BinaryOperator.Minus: "exactly_minus",
    BinaryOperator.Multiplication: "exactly_times",
    BinaryOperator.Power: "exactly_power",
}
_UNARY = {UnaryOperator.Minus: "exactly_negative", UnaryOperator.Absolute: "exactly_absolute"}
_SUMS = (AggregateFunction.Sum, AggregateFunction.SumPlus)
_BOUNDS = ((ComparisonOperator.GreaterEqual, NUMBER_MAX), (ComparisonOperator.LessEqual, -NUMBER_MAX))


def exact(rule: Tree) -> Tree:
    """The rule with every calculation that may not fit done by the worker. (What `/` and `\\` give always fits.)"""
    return _Exact().visit(rule)


def calculates(rule: Tree) -> bool:
    """Whether the solver may come upon something in `rule` that it cannot calculate."""
    found = _Calculations()
    found.visit(rule)
    return found.count > 0 or any(_is_sum(part) for part in rule.body)


def watches(rule: Tree, case: Tree) -> Iterator[Tree]:
    """The rules that say where the sums of `rule` do not fit; `case` is the variable of its case."""
    where = rule.location
    head = Literal(where, Sign.NoSign, SymbolicAtom(Function(where, BEYOND, [case], 0)))
    for place, part in enumerate(rule.body):
        if _is_sum(part):
            around = without(rule, place)
            for comparison, bound in _BOUNDS:
                guard = Guard(comparison, SymbolicTerm(where, Number(bound)))
                total = part.atom.update(left_guard=None, right_guard=guard)
                yield rule.update(head=head, body=[*around, Literal(where, Sign.NoSign, total)])


def _is_sum(part: Tree) -> bool:
    return (
        part.ast_type is ASTType.Literal and part.atom.ast_type is ASTType.BodyAggregate and part.atom.function in _SUMS
    )


class _Calculations(Transformer):
    def __init__(self) -> None:
        self.count = 0

    def visit_BinaryOperation(self, term: Tree) -> Tree:  # noqa: N802
        """`X+Y` and the like."""
        self.count += 1
        return term

    visit_UnaryOperation = visit_Interval = visit_BinaryOperation  # noqa: N815


class _Exact(Transformer):
    def visit_BinaryOperation(self, term: Tree) -> Tree:  # noqa: N802
        """`X+Y` as the worker's function."""
        term = term.update(**self.visit_children(term))
        name = _BINARY.get(term.operator_type)
        return term if name is None else Function(term.location, name, [term.left, term.right], 1)

    def visit_UnaryOperation(self, term: Tree) -> Tree:  # noqa: N802
        """`-X` and `|X|` as the worker's function; `-1` stays, for that fits."""
        if term.argument.ast_type is ASTType.SymbolicTerm and term.argument.symbol.type is SymbolType.Number:
            return term
        term = term.update(**self.visit_children(term))
        name = _UNARY.get(term.operator_type)
        return term if name is None else Function(term.location, name, [term.argument], 1)
