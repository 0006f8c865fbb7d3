"""Laws about names: which are allowed, whether they are told apart, and whether they name something."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Set

from pydantic import BaseModel

from relmachine.machine.declaration import Declaration, StepDeclaration
from relmachine.machine.payload import members
from relmachine.machine.report import Finding

RESERVED = frozenset(("relm", "step", "journal", "out", "rejected", "control", "telemetry"))
"""Subject tokens of the wire: no machine or step may be called so."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SOURCE = re.compile(r"(event|trace):.+", re.DOTALL)


def names_valid(declaration: Declaration) -> Iterator[Finding]:
    """Names of machine, claims, fields, steps and built payload members; the version is not empty."""
    named = [("machine", declaration.name), *(("step", name) for name in declaration.steps)]
    for what, name in named:
        if name in RESERVED:
            yield Finding(f"{what} {name!r} is a word of the wire: choose another name", {what: name})
    named += [("claim", name) for name in declaration.claims] + [("field", name) for name in declaration.fields]
    for what, name in named:
        if keyword.iskeyword(name):
            yield Finding(f"{what} {name!r} is a Python keyword: choose another name", {what: name})
        elif not _NAME.fullmatch(name):
            sentence = f"{what} {name!r}: start with a-z, go on with a-z, 0-9 and _, at most 64 characters"
            yield Finding(sentence, {what: name})
    yield from _members_valid(declaration)
    if not declaration.version.strip():
        yield Finding("give the machine a version", {"machine": declaration.name, "version": declaration.version})


def _members_valid(declaration: Declaration) -> Iterator[Finding]:
    for step in declaration.steps.values():
        if not isinstance(step.payload, tuple):
            continue
        for name in members(declaration, step):
            if not _NAME.fullmatch(name) or keyword.iskeyword(name) or hasattr(BaseModel, name):
                sentence = f"step {step.name!r}: the payload cannot have a member {name!r}: choose another name"
                yield Finding(sentence, {"step": step.name, "member": name})


def is_name(text: str) -> bool:
    """Whether a claim, field or step could be called so."""
    return _NAME.fullmatch(text) is not None and not keyword.iskeyword(text)


def names_apart(declaration: Declaration) -> Iterator[Finding]:
    """A step reads claims and fields by name alone, so one name means one thing."""
    for name in declaration.claims.keys() & declaration.fields.keys():
        yield Finding(f"{name!r} is a claim and a field: rename one", {"claim": name, "field": name})


def not_empty(declaration: Declaration) -> Iterator[Finding]:
    """A machine has steps."""
    if not declaration.steps:
        yield Finding("declare at least one step", {"machine": declaration.name, "steps": 0})


def references_known(declaration: Declaration) -> Iterator[Finding]:
    """What is referred to is declared."""
    for item in declaration.claims.values():
        for name in item.requires:
            if name not in declaration.claims:
                yield _unknown("claim", name, {"claim": item.name, "requires": name})
    for step in declaration.steps.values():
        yield from _step_references(declaration, step)
    for part, pairs in (("independent", declaration.independent), ("dependent", declaration.dependent)):
        for pair in pairs:
            for name in pair:
                if name not in declaration.steps:
                    yield _unknown("step", name, {part: list(pair), "step": name})


def _step_references(declaration: Declaration, step: StepDeclaration) -> Iterator[Finding]:
    claims, fields = declaration.claims.keys(), declaration.fields.keys()
    parts: tuple[tuple[str, str, tuple[str, ...], Set[str]], ...] = (
        ("claim", "asserts", step.asserts, claims),
        ("claim", "contests", step.contests, claims),
        ("claim", "vetoes", step.vetoes, claims),
        ("claim or field", "reads", step.reads, claims | fields),
        ("field", "writes", step.writes, fields),
    )
    for what, part, names, known in parts:
        for name in names:
            if name not in known:
                yield _unknown(what, name, {"step": step.name, part: name})


def ingest_known(declaration: Declaration) -> Iterator[Finding]:
    """Activities lead to steps, payload members come from the event or the trace."""
    for activity, step in declaration.ingest.names.items():
        if step not in declaration.steps:
            yield _unknown("step", step, {"activity": activity, "step": step})
    for member, source in declaration.ingest.payload.items():
        if not _SOURCE.fullmatch(source):
            sentence = f"member {member!r} comes from {source!r}: write event:<key> or trace:<key>"
            yield Finding(sentence, {"member": member, "source": source})
    principal = declaration.ingest.principal
    if principal and not _SOURCE.fullmatch(principal):
        sentence = f"the principal comes from {principal!r}: write event:<key> or trace:<key>"
        yield Finding(sentence, {"principal": principal})


def _unknown(what: str, name: str, witness: dict[str, object]) -> Finding:
    return Finding(f"there is no {what} {name!r}: declare it, or correct the name", witness)
