"""What a model must keep to whatever it says. `python -m tables` writes nothing from a model that does not."""

from __future__ import annotations

from collections.abc import Iterator

from relmachine.errors import Code
from relmachine.kernel.answer import Reason
from relmachine.kernel.control import CLOSE, RECORDS
from relmachine.kernel.lane import LANE
from tables.model import Life, Model, lives

_CODES = frozenset(map(str, Code))
_TURNS = frozenset({"step", *("close_into" if token == CLOSE else token.removeprefix("_") for token in RECORDS)})
"""What has a turn. The record that closes a thread into another is not the one that closes it from the control lane."""
_MAY = {"open": {*LANE, *_TURNS}, "paused": set(LANE), "cancelled": set[str](), "closed": {"cancel"}}
"""What may be applied where a thread stands: what is for good stays so."""


def broken(model: Model) -> list[str]:
    """What is wrong with the model, in words; empty when it can be used."""
    moves = [f"{name}: {one}" for name in ("step", "node", "run") for one in _moves(getattr(model, name))]
    return moves or [*_terminals(model), *_reasons(model), *_verdicts(model), *_standings(model)]


def _moves(life: Life) -> Iterator[str]:
    """Every phase that is named has a row, can be reached, and comes to an end; the last phase is the only end."""
    named = {life.first, *(phase for after in life.moves.values() for phase in after)}
    if not named <= life.moves.keys():
        yield f"no row for {sorted(named - life.moves.keys())}"
        return
    if named != life.moves.keys():
        yield f"nothing leads to {sorted(life.moves.keys() - named)}"
    for phase, after in life.moves.items():
        if phase in after or len(set(after)) != len(after):
            yield f"{phase} goes to itself, or somewhere twice"
    ends = {phase for phase, after in life.moves.items() if not after}
    if life.last and ends != {life.last}:
        yield f"ends in {sorted(ends)}, not only in {life.last}"
    reached = _reached(life, {life.first})
    if reached != life.moves.keys():
        yield f"cannot be reached: {sorted(life.moves.keys() - reached)}"
    stuck = [phase for phase in life.moves if not _reached(life, {phase}) & ends]
    if stuck:
        yield f"never ends: {stuck}"


def _reached(life: Life, start: set[str]) -> set[str]:
    found, left = set(start), list(start)
    while left:
        for phase in life.moves[left.pop()]:
            if phase not in found:
                found.add(phase)
                left.append(phase)
    return found


def _terminals(model: Model) -> Iterator[str]:
    """From OPEN every path ends in CLOSE and has exactly one terminal; each terminal has its one path."""
    try:
        paths = lives(model.step)
    except ValueError as error:
        yield str(error)
        return
    seen: list[str] = []
    for path in paths:
        terminals = [phase for phase in path if phase in model.step.terminals]
        if path[-1] != model.step.last or len(terminals) != 1:
            yield f"{'>'.join(path)} has {len(terminals)} terminals, and ends in {path[-1]}"
        seen += terminals
    if sorted(seen) != sorted(model.step.terminals):
        yield f"terminals {sorted(model.step.terminals)} and the paths' {sorted(seen)}"


def _reasons(model: Model) -> Iterator[str]:
    """Every reason that a run can end with has a row and is a phase of runs; COMMIT has no code, all else has one."""
    if list(model.reasons) != [str(reason) for reason in Reason]:
        yield f"reasons are {list(model.reasons)}, and those of an answer {[str(reason) for reason in Reason]}"
        return
    for name, end in model.reasons.items():
        if end.terminal not in ("", *model.step.terminals) or end.code not in ("", *_CODES):
            yield f"{name}: {end.terminal!r} is no terminal, or {end.code!r} no code"
        if bool(end.code) == (end.terminal == "COMMIT"):
            yield f"{name}: a committed step has no code, and any other has one"
        after = model.run.moves.get(name)
        if after is None or bool(after) != (end.terminal == ""):
            yield f"{name}: a run goes on after it exactly when its step has no terminal"


def _verdicts(model: Model) -> Iterator[str]:
    """Exactly one verdict opens a step, one is asked again; control never waits, and nobody decides about telemetry."""
    opens = [name for name, opening in model.verdicts.items() if opening.leads_to]
    if opens != ["admit"] or model.verdicts["admit"].leads_to != model.step.first:
        yield f"{opens} lead to {model.step.first}, not admit alone"
    if [name for name, opening in model.verdicts.items() if opening.again] != ["defer"]:
        yield "what is deferred is asked about again, and nothing else"
    needed = {"control": {"admit", "reject"}, "data": {"admit", "reject", "defer"}, "telemetry": set[str]()}
    found = {lane: set(verdicts) for lane, verdicts in model.lanes.items()}
    if list(found.items()) != list(needed.items()):
        yield f"lanes in their order, control first, with the verdicts they can get, are {needed}, not {found}"


def _standings(model: Model) -> Iterator[str]:
    """Every record has an effect on every standing; a refusal has a code and moves nothing; what ended stays so."""
    wanted = {*LANE, *_TURNS}
    if any(effects.keys() != wanted for effects in model.standings.values()):
        yield f"each standing needs a row for each of {sorted(wanted)}, and for nothing else"
        return
    for standing, effects in model.standings.items():
        for record, effect in effects.items():
            if (effect.does == "refused") != bool(effect.code) or effect.code not in ("", *_CODES):
                yield f"{standing}, {record}: {effect.does} with the code {effect.code!r}"
            if effect.leads_to and (effect.does != "applied" or effect.leads_to not in model.standings):
                yield f"{standing}, {record}: cannot lead to {effect.leads_to!r}"
            if effect.leads_to == standing:
                yield f"{standing}, {record}: leads to where it is"
            if record in LANE and effect.does not in ("applied", "no_effect"):
                yield f"{standing}, {record}: what gates let pass on the control lane neither waits nor is refused"
        applied = {record for record, effect in effects.items() if effect.does == "applied"}
        if not applied <= _MAY[standing]:
            yield f"{standing}: {sorted(applied - _MAY[standing])} cannot be applied there"
