"""A law that a machine's author wrote, as text: what it guards and reads, which decides what depends on what.

The text is an answer set program in two parts. `#program declaration.` holds facts alone, `guards("step").` and
`reads(kind,"name").` with the kinds `claim`, `field`, `step` and `principal`; `#program law.` holds the rules. Only the
first part is understood here; `relmachine.gates.own_law_program` understands the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("claim", "field", "step", "principal")
"""What a law may read: `step` the events of a step type, `principal` these and who published them."""

LAW_BYTES_MAX = 65_536
"""Bytes of one law's text."""

_TOKEN = re.compile(
    r"""\s+ | %\*.*?\*% | %(?!\*)[^\n]*
    | (?P<part>\#program\s+(?:declaration|law)\s*\.)
    | guards\(\s*"(?P<guards>[^"\\\n]*)"\s*\)\s*\.
    | reads\(\s*(?P<kind>[a-z]+)\s*,\s*"(?P<name>[^"\\\n]*)"\s*\)\s*\.""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a law's text, and the line of the file where it stands."""

    line: int
    sentence: str


@dataclass(frozen=True, slots=True)
class OwnLaw:
    """A law by name. `steps` are the step types whose events it reads, those in `principals` among them.

    `program` is the second part, behind as many empty lines as stand before it, so that lines are those of the file.
    `flaws` are those of the first part.
    """

    name: str
    text: str
    guards: tuple[str, ...]
    claims: tuple[str, ...]
    fields: tuple[str, ...]
    steps: tuple[str, ...]
    principals: tuple[str, ...]
    program: str
    flaws: tuple[Flaw, ...] = ()


def parse_own_law(name: str, text: str) -> OwnLaw:
    """The law called `name` in `text`, flawed or not."""
    reader = _Reader(text)
    reader.read()
    names = {kind: tuple(dict.fromkeys(found)) for kind, found in reader.names.items()}
    return OwnLaw(
        name=name,
        text=text,
        guards=names["guards"],
        claims=names["claim"],
        fields=names["field"],
        steps=tuple(dict.fromkeys((*names["step"], *names["principal"]))),
        principals=names["principal"],
        program="\n" * (reader.line - 1) + text[reader.place :],
        flaws=tuple(reader.flaws),
    )


def principals_read(laws: Iterable[OwnLaw]) -> frozenset[str]:
    """The step types whose principal some law reads: there who published a step is part of what the step is."""
    return frozenset(name for law in laws for name in law.principals)


class _Reader:
    """Reads the declaration up to the law, or up to the first thing that has no place there."""

    def __init__(self, text: str) -> None:
        self.text, self.place, self.line = text, 0, 1
        self.names: dict[str, list[str]] = {kind: [] for kind in ("guards", *KINDS)}
        self.flaws: list[Flaw] = []

    def read(self) -> None:
        if len(self.text.encode()) > LAW_BYTES_MAX:
            self._flaw(f"keep a law below {LAW_BYTES_MAX} bytes")
        parts: list[str] = []
        while not self.flaws and parts[-1:] != ["law"]:
            found = _TOKEN.match(self.text, self.place)
            if found is None:
                self._stray(parts)
                return
            if found["part"]:
                parts.append("law" if "law" in found["part"] else "declaration")
            elif found["guards"] is not None or found["name"] is not None:
                self._fact(found, parts)
            self.line += found[0].count("\n")
            self.place = found.end()
        if parts not in (["declaration", "law"], []) and not self.flaws:
            self._flaw("begin with one `#program declaration.`, then one `#program law.`")
        if not self.flaws and not self.names["guards"]:
            self._flaw('say which steps the law guards: guards("step").')

    def _fact(self, found: re.Match[str], parts: list[str]) -> None:
        kind = "guards" if found["guards"] is not None else found["kind"]
        if kind not in self.names:
            self._flaw(f"a law reads {', '.join(KINDS)}, not {kind}")
        elif parts != ["declaration"]:
            self._flaw("begin with `#program declaration.`")
        else:
            self.names[kind].append(found["guards"] if kind == "guards" else found["name"])

    def _stray(self, parts: list[str]) -> None:
        if self.place == len(self.text):
            self._flaw("end the declaration with `#program law.`, and write the rules below")
        elif not parts:
            self._flaw("begin with `#program declaration.`")
        else:
            self._flaw('a declaration holds guards("step"). and reads(kind,"name"). and nothing else')

    def _flaw(self, sentence: str) -> None:
        self.flaws.append(Flaw(self.line, sentence))
