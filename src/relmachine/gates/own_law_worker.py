"""The process that runs laws of authors' own. It imports the solver and nothing of relmachine, so it starts at once.

Asked by lines of JSON on its input: `{"text": program and facts, "cpu_seconds": bound}`. Answers by lines of JSON: for
each case with violations `{"found": {case: {"count": n, "atoms": [[argument, …], …]}}}`, or `{"memory": true}`. It may
use `sys.argv[1]` bytes of memory, and of each question so much CPU time as it says; with more it is killed by SIGPROF,
which no loop of the solver can hold up. An argument is a number, a text, or a list of a function's name and arguments.
"""

from __future__ import annotations

import json
import resource
import signal
import sys

from clingo import Control
from clingo.symbol import Symbol, SymbolType

ATOMS_MAX = 8
"""Violations of a case that are told; they are counted all."""

TEXT_CHARACTERS_MAX = 200
"""Length of a text in an answer; what is beyond is cut."""

NESTED_MAX = 4
"""Depth of functions in an answer."""


def main() -> None:
    """Answer until the input ends: whoever asked is gone then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, question["cpu_seconds"])
        try:
            answer = {"found": solve(question["text"])}
        except (MemoryError, RuntimeError) as error:
            # The solver reports a failed allocation by its text alone.
            if not isinstance(error, MemoryError) and "bad_alloc" not in str(error):
                raise
            answer = {"memory": True}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def solve(text: str) -> dict[str, dict[str, object]]:
    """The violations in the program's one answer, by case."""
    control = Control(["--warn=none"])
    control.add("base", [], text)
    control.ground([("base", [])])
    atoms = [atom for atom in control.symbolic_atoms if atom.symbol.name == "violation"]
    # Grounding decides a stratified program nearly always; what it leaves open is asked of the solver.
    holds = {str(atom.symbol) for atom in atoms if atom.is_fact}
    if len(holds) < len(atoms):
        with control.solve(yield_=True) as answers:
            model = next(iter(answers))
            holds = {str(atom.symbol) for atom in atoms if model.contains(atom.symbol)}
    found: dict[str, list[list[object]]] = {}
    for atom in atoms:
        if str(atom.symbol) in holds:
            case, *witness = atom.symbol.arguments
            found.setdefault(str(case), []).append([term(argument, 0) for argument in witness])
    return {
        case: {"count": len(some), "atoms": sorted(some, key=json.dumps)[:ATOMS_MAX]} for case, some in found.items()
    }


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
