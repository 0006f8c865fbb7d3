"""Every row of the model changed in every way that could go unseen: taken out, added, doubled, exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, TypeVar

from relmachine.errors import Code
from tables.model import Effect, End, Model, Part

_Part = TypeVar("_Part", bound=Part)


class Mutant(NamedTuple):
    """A model with one change, and what it is."""

    what: str
    model: Model


def mutants(model: Model) -> Iterator[Mutant]:
    """All of them."""
    for name in ("step", "node", "run"):
        yield from _moves(model, name)
    yield from _terminals(model)
    yield from _reasons(model)
    yield from _verdicts(model)
    yield from _standings(model)


def _moves(model: Model, name: str) -> Iterator[Mutant]:
    """Each move taken out, and each that is not there put in."""
    life = getattr(model, name)
    for now, to in product(life.moves, life.moves):
        after = life.moves[now]
        changed = tuple(phase for phase in after if phase != to) if to in after else (*after, to)
        moved = _with(life, moves={**life.moves, now: changed})
        yield Mutant(f"{name}: {now} to {to} {'taken out' if to in after else 'put in'}", _with(model, **{name: moved}))


def _terminals(model: Model) -> Iterator[Mutant]:
    """A terminal forgotten, and another phase made one: then a life has two."""
    step = model.step
    some = next(iter(step.terminals.values()))
    for phase in step.moves:
        terminals = {name: stored for name, stored in step.terminals.items() if name != phase}
        if phase not in step.terminals:
            terminals = {**terminals, phase: some}
        yield Mutant(f"step: terminal {phase} changed", _with(model, step=_with(step, terminals=terminals)))


def _reasons(model: Model) -> Iterator[Mutant]:
    for name, end in model.reasons.items():
        rest = {other: row for other, row in model.reasons.items() if other != name}
        yield Mutant(f"reason {name} taken out", _with(model, reasons=rest))
        others = ({row.code for row in model.reasons.values()} | {str(Code.INTERNAL)}) - {end.code}
        changed = [End(terminal=end.terminal, code=code) for code in sorted(others)]
        changed += [End(terminal=terminal, code=end.code) for terminal in ("", "COMMIT", "ABORT")]
        for row in changed:
            if row != end:
                yield Mutant(f"reason {name}: {row}", _with(model, reasons={**model.reasons, name: row}))


def _verdicts(model: Model) -> Iterator[Mutant]:
    for name, opening in model.verdicts.items():
        for again, leads_to in product((False, True), ("", *model.step.moves)):
            row = _with(opening, again=again, leads_to=leads_to)
            if row != opening:
                yield Mutant(f"verdict {name}: {row}", _with(model, verdicts={**model.verdicts, name: row}))
    for lane, verdict in product(model.lanes, model.verdicts):
        now = model.lanes[lane]
        changed = tuple(item for item in now if item != verdict) if verdict in now else (*now, verdict)
        yield Mutant(f"lane {lane}: {verdict} changed", _with(model, lanes={**model.lanes, lane: changed}))
    for lane in model.lanes:
        rest = {other: row for other, row in model.lanes.items() if other != lane}
        yield Mutant(f"lane {lane} taken out", _with(model, lanes=rest))
        if lane != next(iter(model.lanes)):
            yield Mutant(f"lane {lane} put first", _with(model, lanes={lane: model.lanes[lane], **rest}))


def _standings(model: Model) -> Iterator[Mutant]:
    codes = sorted({effect.code for effects in model.standings.values() for effect in effects.values()})
    for standing, effects in model.standings.items():
        for record, effect in effects.items():
            rest = {other: row for other, row in effects.items() if other != record}
            yield _standing(model, f"{standing}, {record} taken out", standing, rest)
            rows = [_with(effect, code=code) for code in codes]
            rows += [_with(effect, leads_to=other) for other in model.standings]
            rows += [
                Effect(does="applied"),
                Effect(does="no_effect"),
                Effect(does="waits"),
                Effect(does="refused", code=str(Code.THREAD_CLOSED)),
            ]
            for row in rows:
                if _meant(row, standing) != _meant(effect, standing):
                    yield _standing(model, f"{standing}, {record}: {row}", standing, {**effects, record: row})


def _meant(effect: Effect, standing: str) -> Effect:
    return _with(effect, leads_to=effect.leads_to or standing)


def _standing(model: Model, what: str, standing: str, effects: dict[str, Effect]) -> Mutant:
    return Mutant(what, _with(model, standings={**model.standings, standing: effects}))


def _with(part: _Part, **changes: object) -> _Part:
    """A copy with other members. Nothing is validated: a mutant may be nonsense."""
    return part.model_copy(update=changes)
