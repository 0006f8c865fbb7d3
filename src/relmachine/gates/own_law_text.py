"""The text of a law's rules, before the solver's grammar sees it: rules and nothing else, and not too deep.

That grammar takes directives that read files and run code. Where it and this room differed about where a text or a
comment ends, one could hide. So nothing is given to it but what was understood here: comments are left out, a text ends
on its line, and whatever is no known token is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TOKENS_MAX = 4096
"""Words, marks, numbers and texts of one law's rules: looking at them takes up to a quarter of a millisecond each."""

RULE_OPERATORS_MAX = 64
"""Operators of one rule, which nest like brackets."""

NESTED_MAX = 32
"""Depth of brackets."""

NUMBER_MAX = 2**31 - 1

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+ | %\*.*?\*% | %(?!\*)[^\n]*)
    | (?P<text>"(?:\\["\\n]|[^"\\\n\0])*")
    | (?P<directive>\#[A-Za-z0-9_]*)
    | (?P<number>(?:0|[1-9][0-9]*)(?![A-Za-z0-9_']))
    | (?P<word>[A-Za-z_'][A-Za-z0-9_']*)
    | (?P<mark>:- | :~ | \.\. | \*\* | != | <= | >= | == | <> | [.,;:|()\[\]{}=<>+*/\\&?^~@-])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset(("#count", "#sum", "#min", "#max", "#true", "#false", "#inf", "#sup"))
_OPERATORS = frozenset(("+", "-", "*", "/", "\\", "**", "&", "?", "^", "~", "|"))


class UnreadableError(Exception):
    """No rules that the solver's grammar takes: what is wrong, and on which line."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line, self.sentence = line, sentence


def plain(program: str) -> str:
    """The same rules without comments, on the same lines. Errors: `UnreadableError`."""
    return "".join(_Reader(program).pieces())


class _Reader:
    def __init__(self, program: str) -> None:
        self._program, self._place = program, 0
        self._depth = self._operators = self._tokens = 0

    def pieces(self) -> Iterator[str]:
        while self._place < len(self._program):
            found = _TOKEN.match(self._program, self._place)
            if found is None:
                strange = self._program[self._place]
                hint = "end the text or comment that begins here" if strange in '"%' else f"take {strange!r} away"
                raise self._error(f"{hint}: a law consists of rules alone")
            kind, token = str(found.lastgroup), found[0]
            if kind == "blank":
                yield " " + "\n" * token.count("\n")
            else:
                self._check(kind, token)
                yield token
            self._place = found.end()

    def _check(self, kind: str, token: str) -> None:
        self._tokens += 1
        if self._tokens > TOKENS_MAX:
            raise self._error(f"make this several laws: one has at most {TOKENS_MAX} words and marks")
        if kind == "directive" and token not in _WORDS:
            raise self._error(f"a law consists of rules alone: take {token} away")
        if kind == "number" and (len(token) > 10 or int(token) > NUMBER_MAX):
            raise self._error(f"numbers go up to {NUMBER_MAX}: write {token[:20]} in another unit")
        if kind == "mark":
            self._depth += (token in "([{") - (token in ")]}")
            self._operators = 0 if token == "." else self._operators + (token in _OPERATORS)
        if self._depth > NESTED_MAX or self._operators > RULE_OPERATORS_MAX:
            raise self._error("nest less deeply, and split what is calculated among several rules")

    def _error(self, sentence: str) -> UnreadableError:
        return UnreadableError(self._program.count("\n", 0, self._place) + 1, sentence)
