"""The process that runs laws of authors' own. It imports the solver and nothing of relmachine, so it starts at once.

Says `{"ready": true}` on a line when it can be asked: by lines of JSON, `{"text": program and facts, "cpu_seconds":
bound}`. Answers by lines of JSON: for each case with violations `{"found": {case: {"count": n, "atoms": [[argument, …],
…]}}}`; `{"memory": true}`; or `{"numbers": why}` when something that the program calculates is no number, or none of 32
bits: what it derives means nothing then. It may use `sys.argv[1]` bytes of memory, and of each question so much CPU
time as it says; with more it is killed by SIGPROF, which no loop of the solver can hold up. An argument is a number, a
text, or a list of a function's name and arguments.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Mapping, Sequence

from clingo import Control, MessageCode
from clingo.symbol import Number, Symbol, SymbolType

ATOMS_MAX = 8
"""Violations of a case that are told, and arguments of each; violations are counted all."""

TEXT_CHARACTERS_MAX = 200
"""Length of a text in an answer; what is beyond is cut."""

NESTED_MAX = 4
"""Depth of functions in an answer."""

ATOM_CHARACTERS_MAX = 2000
"""Length of the arguments of a violation, as JSON; longer ones are told as one text."""

NUMBER_MAX = 2**31 - 1
"""The largest number, and but for its sign the smallest."""


def main() -> None:
    """Answer until the input ends: whoever asked is gone then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _say({"ready": True})
    for line in sys.stdin.buffer:
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, question["cpu_seconds"])
        try:
            answer = solve(question["text"])
        except (MemoryError, RuntimeError) as error:
            # The solver reports a failed allocation by its text alone.
            if not isinstance(error, MemoryError) and "bad_alloc" not in str(error):
                raise
            answer = {"memory": True}
        signal.setitimer(signal.ITIMER_PROF, 0)
        _say(answer)


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Exactly:
    """What laws calculate by. `flaw` says what could not be calculated first."""

    def __init__(self) -> None:
        self.flaw = ""

    def hear(self, code: MessageCode, text: str) -> None:
        """Take a message of the solver: what is undefined it leaves out, without a word in its answer."""
        if code is MessageCode.OperationUndefined:
            self.flaw = self.flaw or " ".join(text.partition("info: ")[2].split())

    def exactly_plus(self, one: Symbol, other: Symbol) -> Sequence[Symbol]:
        """`X+Y`"""
        return self._number("+", one, other)

    def exactly_minus(self, one: Symbol, other: Symbol) -> Sequence[Symbol]:
        """`X-Y`"""
        return self._number("-", one, other)

    def exactly_times(self, one: Symbol, other: Symbol) -> Sequence[Symbol]:
        """`X*Y`"""
        return self._number("*", one, other)

    def exactly_power(self, one: Symbol, other: Symbol) -> Sequence[Symbol]:
        """`X**Y`"""
        return self._number("**", one, other)

    def exactly_negative(self, one: Symbol) -> Sequence[Symbol]:
        """`-X`"""
        return self._number("-", Number(0), one)

    def exactly_absolute(self, one: Symbol) -> Sequence[Symbol]:
        """`|X|`"""
        negative = one.type is SymbolType.Number and one.number < 0
        return self._number("-", Number(0), one) if negative else self._number("+", Number(0), one)

    def _number(self, sign: str, one: Symbol, other: Symbol) -> Sequence[Symbol]:
        result = None
        if one.type is SymbolType.Number and other.type is SymbolType.Number:
            result = calculated(sign, one.number, other.number)
        if result is None or abs(result) > NUMBER_MAX:
            told = [str(term(symbol, 0))[:TEXT_CHARACTERS_MAX] for symbol in (one, other)]
            self.flaw = self.flaw or f"{told[0]}{sign}{told[1]} is no number of 32 bits"
            return []
        return [Number(result)]


def calculated(sign: str, one: int, other: int) -> int | None:
    """The result, None when there is none or when it would be far too long."""
    match sign:
        case "+":
            return one + other
        case "-":
            return one - other
        case "*":
            return one * other
        case _:
            small = other < 32 or abs(one) < 2
            return one**other if other >= 0 and small else None


def solve(text: str) -> dict[str, object]:
    """The violations in the program's one answer, by case: what is said of it."""
    exactly = Exactly()
    control = Control(["--warn=none", "--warn=operation-undefined"], logger=exactly.hear)
    control.add("base", [], text)
    control.ground([("base", [])], exactly)
    atoms = [atom for atom in control.symbolic_atoms if atom.symbol.name == "violation"]
    if exactly.flaw:
        return {"numbers": exactly.flaw}
    if any(atom.symbol.name == "_beyond" for atom in control.symbolic_atoms):
        return {"numbers": "a sum is no number of 32 bits"}
    # Grounding decides a stratified program nearly always; what it leaves open is asked of the solver.
    holds = {atom.symbol for atom in atoms if atom.is_fact}
    if len(holds) < len(atoms):
        with control.solve(yield_=True) as answers:
            model = next(iter(answers))
            holds = {atom.symbol for atom in atoms if model.contains(atom.symbol)}
    found: dict[str, list[list[object]]] = {}
    for symbol in holds:
        case, *witness = symbol.arguments
        found.setdefault(str(case), []).append(_told(witness))
    return {
        "found": {
            case: {"count": len(some), "atoms": sorted(some, key=json.dumps)[:ATOMS_MAX]}
            for case, some in found.items()
        }
    }


def _told(witness: Sequence[Symbol]) -> list[object]:
    told = [term(argument, 0) for argument in witness[:ATOMS_MAX]]
    text = json.dumps(told)
    return told if len(text) <= ATOM_CHARACTERS_MAX else [text[:TEXT_CHARACTERS_MAX]]


def term(symbol: Symbol, depth: int) -> object:
    """A term as JSON."""
    if symbol.type is SymbolType.Number:
        return symbol.number
    if symbol.type is SymbolType.String:
        return symbol.string[:TEXT_CHARACTERS_MAX]
    if symbol.type is not SymbolType.Function or depth == NESTED_MAX:
        return [str(symbol)[:TEXT_CHARACTERS_MAX]]
    return [symbol.name, *(term(argument, depth + 1) for argument in symbol.arguments[:ATOMS_MAX])]


if __name__ == "__main__":
    main()
