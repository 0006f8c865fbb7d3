"""The rules of a law of the author's own, read by the solver's grammar: what they mention, and their lifted form.

*Lifting* gives every atom the number of its case as a first argument, so that one solve judges many steps of many
threads. The author writes without it: `bad(E) :- event(E).` becomes `bad(C,E) :- event(C,E); _case(C).`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from clingo import MessageCode
from clingo.ast import ASTType, Function, Literal, Sign, SymbolicAtom, Transformer, Variable, parse_string

from relmachine.gates.own_law_exact import calculates, exact, watches
from relmachine.gates.own_law_text import UnreadableError, plain
from relmachine.machine.own_law import OwnLaw

Tree = Any
"""A node of the solver's syntax tree; its attributes differ by kind."""

Signature = tuple[str, int]
"""A predicate: its name and number of arguments."""

CASE = "_case"


class Mention(NamedTuple):
    """An atom in a rule. `strict` when the rule's head hangs on all of its truths: under `not` or in an aggregate."""

    atom: Tree
    strict: bool

    @property
    def signature(self) -> Signature:
        """The predicate."""
        return (self.atom.symbol.name, len(self.atom.symbol.arguments))

    @property
    def line(self) -> int:
        """Where it stands in the file."""
        return self.atom.symbol.location.begin.line


@dataclass(frozen=True, slots=True)
class Lifted:
    """A law ready to be asked: the text of its program, the predicates that its rules look at, the fields whose values
    they look at, None when that may be any, and whether they calculate.
    """

    law: OwnLaw
    text: str
    looks: frozenset[str]
    fields: frozenset[str] | None
    calculates: bool


def rules(program: str) -> list[Tree]:
    """The statements of `program`. Errors: `UnreadableError`, also for what could be more than rules."""
    text = plain(program)
    found: list[Tree] = []
    messages: list[str] = []

    def hear(_code: MessageCode, text: str) -> None:
        messages.append(text)

    try:
        parse_string(text, found.append, logger=hear)
    except RuntimeError as error:
        raise unreadable(messages or [str(error)]) from error
    return found[1:]  # the first says which part a program without parts belongs to


def unreadable(messages: Sequence[str]) -> UnreadableError:
    """What the solver said, as `<string>:LINE:COLUMNS: error: TEXT`."""
    place, _, text = messages[0].partition(": ")
    parts = place.split(":")
    line = int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 1
    return UnreadableError(line, " ".join(text.removeprefix("error: ").split()))


def body_mentions(rule: Tree) -> Iterator[Mention]:
    """The atoms in the body of `rule`."""
    for part in rule.body:
        if part.ast_type is ASTType.ConditionalLiteral or part.atom.ast_type is not ASTType.SymbolicAtom:
            yield from (Mention(atom, True) for atom in _atoms(part))
        else:
            yield Mention(part.atom, part.sign != Sign.NoSign)


def head_mention(rule: Tree) -> Mention:
    """The atom that `rule` derives."""
    return Mention(rule.head.atom, False)


@lru_cache(maxsize=256)
def lifted(law: OwnLaw) -> Lifted:
    """The lifted form of a law whose rules are sound. Errors: `UnreadableError`."""
    written = rules(law.program)
    mentions = [mention for rule in written for mention in body_mentions(rule)]
    looks = frozenset(mention.signature[0] for mention in mentions)
    text = "\n".join(str(rule) for rule in lift(written))
    return Lifted(law, text, looks, _fields(mentions), any(map(calculates, written)))


def _fields(mentions: Sequence[Mention]) -> frozenset[str] | None:
    terms = [mention.atom.symbol.arguments[1] for mention in mentions if mention.signature[0] == "value"]
    if any(term.ast_type is not ASTType.SymbolicTerm for term in terms):
        return None
    return frozenset(term.symbol.string for term in terms)


def lift(written: Sequence[Tree]) -> list[Tree]:
    """Each rule with the case as first argument of every atom, and bound in the body; all calculations are exact."""
    used = set[str]()
    for rule in written:
        _Names(used).visit(rule)
    name = "Case"
    while name in used:
        name += "_"
    return [lifted for rule in written for lifted in _lifted_rules(rule, name)]


def _lifted_rules(rule: Tree, name: str) -> Iterator[Tree]:
    case = Variable(rule.location, name)
    raised: Tree = exact(_Lift(case).visit(rule))
    bound = SymbolicAtom(Function(rule.location, CASE, [case], 0))
    made = raised.update(body=[*raised.body, Literal(rule.location, Sign.NoSign, bound)])
    yield made
    yield from watches(made, case)


class _Lift(Transformer):
    def __init__(self, case: Tree) -> None:
        self._case = case

    def visit_SymbolicAtom(self, atom: Tree) -> Tree:  # noqa: N802
        """The atom with the case in front."""
        symbol = atom.symbol
        return atom.update(symbol=symbol.update(arguments=[self._case, *symbol.arguments]))


class _Names(Transformer):
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Variable(self, variable: Tree) -> Tree:  # noqa: N802
        """Note the variable's name."""
        self._names.add(variable.name)
        return variable


def _atoms(part: Tree) -> list[Tree]:
    found: list[Tree] = []
    _Atoms(found).visit(part)
    return found


class _Atoms(Transformer):
    def __init__(self, found: list[Tree]) -> None:
        self._found = found

    def visit_SymbolicAtom(self, atom: Tree) -> Tree:  # noqa: N802
        """Note the atom."""
        self._found.append(atom)
        return atom
