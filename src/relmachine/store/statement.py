"""What somebody typed as SQL: where a statement ends, whether there is exactly one, and what it is. Pure.

A server may run the second of two statements, and a text without one can keep it busy for good. So texts are looked at
before they leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from relmachine.errors import Code, RelmError

READING = frozenset(("SELECT", "VALUES", "EXPLAIN"))
"""Verbs of statements that only look."""

WRITING = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE"))
"""Verbs of statements that change rows, and nothing but rows."""

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*\])"""
    r"|(?P<word>\w+)|(?P<open>\()|(?P<close>\))|(?P<end>;)|(?P<broken>['\"`\[\0]|/\*)|(?P<other>.)",
    re.DOTALL,
)
_TABLES_FIRST = "WITH"
_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without what stands around it. `verb` says what it does, also behind WITH, in capitals."""

    text: str
    verb: str


def statement(sql: str) -> Statement:
    """The one statement in `sql`. Errors: `query_refused` when there is none, more than one, or half of one."""
    first, last, depth, ended, verb = None, 0, 0, False, ""
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "blank":
            continue
        if kind == "broken":
            raise refusal(sql, "a quote, a bracket or a comment has no end")
        if ended:
            raise refusal(sql, "more than one statement")
        if kind == "end":
            ended = True
            continue
        first, last = first or token, token.end()
        verb = _verb(verb, token, depth)
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            break
    if first is None:
        raise refusal(sql, "no statement")
    if depth:
        raise refusal(sql, "parentheses do not match")
    return Statement(sql[first.start() : last], verb)


def _verb(before: str, token: re.Match[str], depth: int) -> str:
    """The first word, and behind WITH the first that names what is done with the tables that it makes."""
    word = token.group().upper()
    if not before:
        return word
    return word if before == _TABLES_FIRST and depth == 0 and word in READING | WRITING else before


def reading(sql: str) -> Statement:
    """The one statement in `sql`, which must be one that reads. Errors: `query_refused`."""
    found = statement(sql)
    if found.verb not in READING:
        raise refusal(sql, f"{found.verb[:20]} is no query")
    return found


def split(text: str) -> tuple[list[str], str]:
    """The statements that end in `text`, each with its `;`, and what begins after the last of them."""
    ends = list(_ends(text))
    starts = [0, *ends]
    return [text[start:end] for start, end in zip(starts, ends, strict=False)], text[starts[-1] :]


def _ends(text: str) -> Iterator[int]:
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "broken":
            return  # what it begins goes on after the text
        if token.lastgroup == "end":
            yield token.end()


def is_blank(text: str) -> bool:
    """Whether there is nothing in `text` but space and whole comments."""
    return all(token.lastgroup == "blank" for token in _TOKEN.finditer(text))


def refusal(sql: str, detail: str) -> RelmError:
    """What is told about SQL that is not let through."""
    sentence = "send one SELECT that SQLite understands; the store can only be read here"
    return RelmError(Code.QUERY_REFUSED, sentence, detail=detail, sql=sql[:_SHOWN_MAX])
