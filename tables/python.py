"""The tables as Python: `kernel/transitions.py`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping

from tables.model import ROOT, Effect, End, Life, Model

FILE = ROOT / "src" / "relmachine" / "kernel" / "transitions.py"

_HEAD = '''"""The life of steps, runs, nodes and threads, as tables. Written by `make tables` from `lifecycle.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from relmachine.errors import Code
from relmachine.kernel.answer import Reason

'''

_RECORDS = '''
@dataclass(frozen=True, slots=True)
class End:
    """What a run's reason makes of its step: its terminal, None when the step runs again. `code` is that of an aborted
    step; of one that ran again, once no attempt is left."""

    terminal: StepPhase | None
    code: Code | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a verdict leads to: None where no life begins. `again` when the message is asked about again."""

    leads_to: StepPhase | None
    again: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What a record does to a thread, with the code of a refusal and the thread's standing after it."""

    does: Does
    code: Code | None
    leads_to: Standing

'''


def python(model: Model) -> str:
    """The text of the module, as ruff formats it. Errors: `subprocess.CalledProcessError` for what is no Python."""
    return formatted("".join(_parts(model)))


def formatted(text: str) -> str:
    """`text` in this project's format."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _parts(model: Model) -> Iterable[str]:
    effects = next(iter(model.standings.values()))
    yield _HEAD
    yield _enum("StepPhase", "Phases of one step.", model.step.moves)
    yield _enum("NodePhase", "Phases of one node.", model.node.moves)
    yield _enum("RunPhase", "Phases of a step's run outside its turn; the last ones are why it ended.", model.run.moves)
    yield _enum("Verdict", "What is said to a message before its step is open.", model.verdicts)
    yield _enum("Lane", "Lanes of messages: what is first here goes first.", model.lanes)
    yield _enum("Standing", "Where a thread stands.", model.standings)
    yield _enum(
        "RecordName",
        "What comes to a thread: records of the control lane, steps, and records that have a turn.",
        effects,
    )
    yield _enum("Does", "What becomes of a record.", ("applied", "refused", "no_effect", "waits"))
    yield _RECORDS
    yield _moves("STEP_MOVES", "StepPhase", model.step)
    yield _moves("NODE_MOVES", "NodePhase", model.node)
    yield _moves("RUN_MOVES", "RunPhase", model.run)
    yield f"TERMINALS = {_set('StepPhase', model.step.terminals)}\n"
    yield f"STEP_FIRST, STEP_LAST = {_member('StepPhase', model.step.first)}, {_member('StepPhase', model.step.last)}\n"
    yield _table("ENDS", "Reason", "End", {name: _end(end) for name, end in model.reasons.items()})
    openings = {
        name: f"Opening({_optional('StepPhase', opening.leads_to)}, {opening.again})"
        for name, opening in model.verdicts.items()
    }
    yield _table("OPENINGS", "Verdict", "Opening", openings)
    lanes = {name: _set("Verdict", verdicts) for name, verdicts in model.lanes.items()}
    yield _table("LANES", "Lane", "frozenset[Verdict]", lanes)
    standings = {name: _effects(name, effects) for name, effects in model.standings.items()}
    yield _table("EFFECTS", "Standing", "Mapping[RecordName, Effect]", standings)


def _enum(name: str, meaning: str, members: Iterable[str]) -> str:
    lines = "".join(f'    {member.upper()} = "{member}"\n' for member in members)
    return f'\nclass {name}(StrEnum):\n    """{meaning}"""\n\n{lines}\n'


def _table(name: str, key: str, value: str, entries: Mapping[str, str]) -> str:
    lines = "".join(f"    {_member(key, entry)}: {text},\n" for entry, text in entries.items())
    return f"{name}: Mapping[{key}, {value}] = MappingProxyType({{\n{lines}}})\n"


def _moves(name: str, phase: str, life: Life) -> str:
    entries = {now: _set(phase, after) for now, after in life.moves.items()}
    return _table(name, phase, f"frozenset[{phase}]", entries)


def _end(end: End) -> str:
    return f"End({_optional('StepPhase', end.terminal)}, {_optional('Code', end.code)})"


def _effects(standing: str, effects: Mapping[str, Effect]) -> str:
    lines = "".join(
        f"{_member('RecordName', name)}: Effect({_member('Does', effect.does)}, {_optional('Code', effect.code)}, "
        f"{_member('Standing', effect.leads_to or standing)}),"
        for name, effect in effects.items()
    )
    return f"MappingProxyType({{{lines}}})"


def _set(enum: str, names: Iterable[str]) -> str:
    members = ", ".join(_member(enum, name) for name in names)
    return f"frozenset({{{members}}})" if members else f"frozenset[{enum}]()"


def _member(enum: str, name: str) -> str:
    return f"{enum}.{name.upper()}"


def _optional(enum: str, name: str) -> str:
    return _member(enum, name) if name else "None"
