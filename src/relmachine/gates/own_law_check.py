"""Are the rules of a law of the author's own sound? They keep to the vocabulary, and can have but one answer.

Everything is found on the text, before any of it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clingo import Control, MessageCode
from clingo.ast import ASTType, ProgramBuilder
from clingo.symbol import SymbolType

from relmachine.gates.own_law_form import strange
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

_UNBOUND = re.compile(r"'(\w+)' is unsafe")
_STATE = ("asserted", "contested", "vetoed", "effective")


def flaws(declaration: Declaration, law: OwnLaw) -> list[Flaw]:
    """What is wrong with the rules of `law`, whose declaration is in order; by line, each once."""
    try:
        written = rules(law.program)
        found = [flaw for rule in written for flaw in strange(rule)]
        if not found:
            found = [*_words(declaration, law, written), *_stratified(written)]
        return sorted(dict.fromkeys(found or _unsafe(written)), key=lambda flaw: flaw.line)
    except UnreadableError as error:
        return [Flaw(error.line, error.sentence)]
    except RecursionError:  # beyond what `own_law_text` bounds, or called from deep down
        return [Flaw(1, "nest less deeply, and split what is calculated among several rules")]


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
    """What the solver finds wrong itself, e.g. variables that nothing binds. It runs nothing."""
    messages: list[str] = []

    def hear(code: MessageCode, text: str) -> None:
        if code is MessageCode.RuntimeError:
            messages.append(text)

    control = Control(["--warn=none"], logger=hear)
    try:
        with ProgramBuilder(control) as builder:
            for rule in lift(written):
                builder.add(rule)
        control.ground([])
    except RuntimeError as error:
        told = unreadable(messages or [str(error)])
        unbound = _UNBOUND.findall(told.sentence)
        names = ", ".join(dict.fromkeys(unbound))
        hint = "use it in an atom without `not`; calculations bind nothing, and a sum's result is for its own rule"
        sentence = f"nothing binds {names}: {hint}" if unbound else told.sentence
        return [Flaw(told.line, sentence)]
    return []
