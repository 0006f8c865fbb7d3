"""Whether loaded tables and functions do what the model says: every pair, every row, every life, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Reason
from tables.model import Life, Model, life_with
from tests.tables.loaded import Loaded


def faults(model: Model, found: Loaded) -> list[str]:
    """All that is otherwise than the model has it, in words."""
    tables = found.transitions
    return [
        *_moves("step", model.step, tables.StepPhase, tables.STEP_MOVES, _step_move(found)),
        *_moves("node", model.node, tables.NodePhase, tables.NODE_MOVES, found.lifecycle.move_node),
        *_moves("run", model.run, tables.RunPhase, tables.RUN_MOVES, found.lifecycle.move_run),
        *_lives(model, found),
        *_ends(model, tables),
        *_openings(model, tables),
        *_effects(model, tables),
    ]


def _step_move(found: Loaded) -> Callable[[Any, Any], object]:
    """A move of a step, asked of the function that writes lives: with the way to it, and the way on from it."""
    tables = found.transitions

    def move(now: Any, to: Any) -> object:
        before, after = _way(tables, tables.STEP_FIRST, now), _way(tables, to, tables.STEP_LAST)
        return found.lifecycle.path(*before, *after)

    return move


def _way(tables: Any, start: Any, end: Any) -> list[Any]:
    """A shortest way from one phase to another by the tables as loaded; the two alone where there is none."""
    ways = [[start]]
    for way in ways:
        if way[-1] == end:
            return way
        ways += [[*way, phase] for phase in sorted(tables.STEP_MOVES.get(way[-1], ())) if phase not in way]
    return [start, end]


def _moves(name: str, life: Life, phases: Any, table: Any, move: Callable[[Any, Any], object]) -> Iterator[str]:
    if [str(phase) for phase in phases] != list(life.moves) or set(table) != set(phases):
        yield f"{name}: phases {list(phases)}, rows {list(table)}"
        return
    for now, to in product(phases, phases):
        listed = str(to) in life.moves[str(now)]
        if (to in table[now]) != listed:
            yield f"{name}: {now} to {to} is listed, and should not be, or the reverse"
        try:
            move(now, to)
            goes = True
        except RelmError as error:
            goes = error.code is not Code.INTERNAL
        if goes != listed:
            yield f"{name}: {now} to {to} {'goes' if goes else 'does not go'}"


def _lives(model: Model, found: Loaded) -> Iterator[str]:
    tables, functions = found.transitions, found.lifecycle
    if {str(phase) for phase in tables.TERMINALS} != set(model.step.terminals):
        yield f"terminals: {tables.TERMINALS}"
    if (str(tables.STEP_FIRST), str(tables.STEP_LAST)) != (model.step.first, model.step.last):
        yield "a step begins or ends elsewhere"
    stored = {"COMMIT": functions.COMMITTED, "ABORT": functions.ABORTED}
    if stored != {name: life_with(model.step, name) for name in model.step.terminals} or functions.REFUSED != "":
        yield f"stored lives: {stored}"
    whole = tuple(tables.StepPhase(phase) for phase in life_with(model.step, "COMMIT").split(">"))
    for part in ((), whole[1:], whole[:-1], whole[:1], whole[-1:]):
        try:
            yield f"a life may be stored in part: {functions.path(*part)!r}"
        except RelmError as error:
            if error.code is not Code.INTERNAL:
                yield f"{part}: {error.code}"
    for path in _maximal(tables):
        if path[-1] != tables.STEP_LAST or sum(phase in tables.TERMINALS for phase in path) != 1:
            yield f"{path} has not one terminal, or another end"


def _maximal(tables: Any) -> Iterator[list[Any]]:
    """Every path from OPEN that cannot go on; one that comes back to a phase is cut there."""
    ways = [[tables.STEP_FIRST]]
    for way in ways:
        after = [phase for phase in tables.STEP_MOVES[way[-1]] if phase not in way]
        if len(after) < len(tables.STEP_MOVES[way[-1]]) or not after:
            yield way
        ways += [[*way, phase] for phase in after]


def _ends(model: Model, tables: Any) -> Iterator[str]:
    if set(tables.ENDS) != set(Reason):
        yield f"reasons: {list(tables.ENDS)}"
    for reason, end in tables.ENDS.items():
        row = model.reasons.get(reason)
        if row is None or (_text(end.terminal), _text(end.code)) != (row.terminal, row.code):
            yield f"reason {reason}: {end}"
        if end.code is not None and end.code not in Code:
            yield f"reason {reason}: no such code"


def _openings(model: Model, tables: Any) -> Iterator[str]:
    found = {str(name): (_text(opening.leads_to), opening.again) for name, opening in tables.OPENINGS.items()}
    if found != {name: (opening.leads_to, opening.again) for name, opening in model.verdicts.items()}:
        yield f"verdicts: {found}"
    lanes = [(str(lane), {str(verdict) for verdict in verdicts}) for lane, verdicts in tables.LANES.items()]
    if lanes != [(lane, set(verdicts)) for lane, verdicts in model.lanes.items()]:
        yield f"lanes: {lanes}"
    if [str(lane) for lane in tables.Lane] != list(model.lanes):
        yield f"lanes in order: {list(tables.Lane)}"


def _effects(model: Model, tables: Any) -> Iterator[str]:
    for standing, record in product(tables.Standing, tables.RecordName):
        effect, row = tables.EFFECTS.get(standing, {}).get(record), model.standings[standing].get(record)
        if effect is None or row is None:
            yield f"{standing}, {record}: no outcome"
            continue
        told = (str(effect.does), _text(effect.code), str(effect.leads_to))
        if told != (row.does, row.code, row.leads_to or str(standing)):
            yield f"{standing}, {record}: {effect}"
    pairs = sum(len(effects) for effects in tables.EFFECTS.values())
    if pairs != len(tables.Standing) * len(tables.RecordName):
        yield f"{pairs} effects"


def _text(member: object) -> str:
    return "" if member is None else str(member)
