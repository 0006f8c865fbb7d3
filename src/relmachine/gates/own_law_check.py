"""Are the rules of a law of the author's own sound? They keep to the vocabulary, and can have but one answer.

Everything is found on the text, before any of it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clingo import Control, MessageCode
from clingo.ast import ASTType, ProgramBuilder, Sign, Transformer
from clingo.symbol import SymbolType

from relmachine.gates.own_law_program import (
    Mention,
    Signature,
    Tree,
    UnreadableError,
    body_mentions,
    head_mention,
    lift,
    rules,
    unreadable,
)
from relmachine.gates.own_law_vocabulary import VIOLATION, VOCABULARY, Argument
from relmachine.machine.declaration import Declaration
from relmachine.machine.footprint import footprints, law_reads, rests_on, seen_by
from relmachine.machine.own_law import Flaw, OwnLaw

_DIRECTIVE = re.compile(r'"(?:\\.|[^"\\])*"|%\*.*?\*%|%[^\n]*|\#[a-z]+', re.DOTALL)
_OPERATORS = frozenset(("#count", "#sum", "#min", "#max", "#true", "#false", "#inf", "#sup"))
_PREDICATE = re.compile(r"[a-z][A-Za-z0-9_]*")
_UNBOUND = re.compile(r"'(\w+)' is unsafe")
_STATE = ("asserted", "contested", "vetoed", "effective")


def flaws(declaration: Declaration, law: OwnLaw) -> list[Flaw]:
    """What is wrong with the rules of `law`, whose declaration is in order; by line, each once."""
    directives = list(_directives(law.program))
    if directives:
        return directives
    try:
        written = rules(law.program)
    except UnreadableError as error:
        return [Flaw(error.line, error.sentence)]
    found = [flaw for rule in written for flaw in _form(rule)]
    if not found:
        found = [*_words(declaration, law, written), *_stratified(written)]
    return sorted(dict.fromkeys(found or _unsafe(written)), key=lambda flaw: flaw.line)


def _directives(program: str) -> Iterator[Flaw]:
    """Only rules: whatever begins with # and is no operator could read files, run code, or give several answers."""
    for found in _DIRECTIVE.finditer(program):
        if found[0].startswith("#") and found[0] not in _OPERATORS:
            line = program.count("\n", 0, found.start()) + 1
            yield Flaw(line, f"a law consists of rules alone: take {found[0]} away")


def _form(rule: Tree) -> Iterator[Flaw]:
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
    strange: list[str] = []
    _Strange(strange).visit(rule)
    yield from (Flaw(line, sentence) for sentence in strange)


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


def _words(declaration: Declaration, law: OwnLaw, written: Sequence[Tree]) -> Iterator[Flaw]:
    heads = [head_mention(rule) for rule in written]
    derived = {mention.signature for mention in heads}
    for mention in heads:
        if mention.signature[0] in VOCABULARY:
            yield Flaw(mention.line, f"{mention.signature[0]} is given, not derived: choose another name")
    if not any(name == VIOLATION for name, _ in derived):
        yield Flaw(1, f"derive {VIOLATION}(…) for what the law forbids")
    for rule in written:
        for mention in body_mentions(rule):
            name, size = mention.signature
            if name in VOCABULARY and size != len(VOCABULARY[name]):
                yield Flaw(mention.line, f"{name} has {len(VOCABULARY[name])} arguments, not {size}")
            elif name in VOCABULARY:
                yield from _arguments(declaration, law, mention)
            elif mention.signature not in derived:
                yield Flaw(mention.line, f"no fact or rule gives {name}/{size}: see the vocabulary, or derive it")


def _arguments(declaration: Declaration, law: OwnLaw, mention: Mention) -> Iterator[Flaw]:
    """Names at a predicate's places: those that the law reads, written as texts."""
    name = mention.signature[0]
    if name == "principal" and not law.principals:
        yield Flaw(mention.line, 'declare whose principal the law reads: reads(principal,"step").')
    if name in _STATE and not law.claims:
        yield Flaw(mention.line, f'declare the claims of which it asks {name}: reads(claim,"claim").')
    for argument, term in zip(VOCABULARY[name], mention.atom.symbol.arguments, strict=True):
        if not argument.is_name or term.ast_type is ASTType.Variable:
            continue
        if term.ast_type is not ASTType.SymbolicTerm or term.symbol.type is not SymbolType.String:
            yield Flaw(mention.line, f'{name} has the name of a {argument} here: write it as a text, "{term}"')
        elif term.symbol.string not in _known(declaration, law, argument):
            yield Flaw(mention.line, f'{name} never has "{term.symbol.string}" here: the law does not read it')


def _known(declaration: Declaration, law: OwnLaw, argument: Argument) -> frozenset[str]:
    steps = declaration.steps
    match argument:
        case Argument.READ_CLAIM:
            return frozenset(law.claims)
        case Argument.CLAIM:
            return frozenset(declaration.claims)
        case Argument.FIELD:
            return frozenset((*law.fields, *(name for step in law.guards for name in steps[step].writes)))
        case _:
            prints = footprints(declaration)
            below = rests_on(declaration.claims)
            reads = law_reads((law,), lambda claim: below[claim])
            return frozenset((*law.guards, *(name for name in prints if seen_by(reads, prints[name]))))


def _stratified(written: Sequence[Tree]) -> Iterator[Flaw]:
    """No predicate hangs on what it does not hold of, or on an aggregate over itself: then there is one answer."""
    below: dict[Signature, set[Signature]] = {}
    for rule in written:
        into = below.setdefault(head_mention(rule).signature, set())
        into.update(mention.signature for mention in body_mentions(rule))
    for rule in written:
        head = head_mention(rule).signature
        for mention in body_mentions(rule):
            if mention.strict and head in _reached(below, mention.signature):
                said = f"{head[0]}/{head[1]} hangs on `not` or an aggregate of itself, through {mention.signature[0]}"
                yield Flaw(mention.line, f"{said}: so it could have several answers")


def _reached(below: dict[Signature, set[Signature]], start: Signature) -> set[Signature]:
    reached, pending = {start}, [start]
    while pending:
        for other in below.get(pending.pop(), ()):
            if other not in reached:
                reached.add(other)
                pending.append(other)
    return reached


def _unsafe(written: Sequence[Tree]) -> list[Flaw]:
    """What the solver finds wrong itself, e.g. variables that nothing binds. Without a case no rule has an instance."""
    messages: list[str] = []

    def hear(code: MessageCode, text: str) -> None:
        if code is MessageCode.RuntimeError:
            messages.append(text)

    control = Control(["--warn=none"], logger=hear)
    try:
        with ProgramBuilder(control) as builder:
            for rule in lift(written):
                builder.add(rule)
        control.ground([("base", [])])
    except RuntimeError as error:
        told = unreadable(messages or [str(error)])
        unbound = _UNBOUND.findall(told.sentence)
        sentence = f"nothing binds {', '.join(unbound)}: use it in an atom without `not`" if unbound else told.sentence
        return [Flaw(told.line, sentence)]
    return []
