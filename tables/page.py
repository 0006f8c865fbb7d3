"""The tables as people read them: `docs/lifecycle.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tables.model import ROOT, Effect, Life, Model, Opening, lives

FILE = ROOT / "docs" / "lifecycle.md"

_HEAD = """# Lives

What a step, a run, a node and a thread can go through. Whatever is not listed is refused: by the kernel's functions
(`kernel/lifecycle.py`), by the store's [triggers](triggers.md) and by `relm verify`. This page, the kernel's tables and
the triggers are written by `make tables` from one file, `kernel/lifecycle.toml`; a test writes them again and compares
bytes.
"""

_STEP = """
A step that is refused before `{first}` has no life: its `lifecycle` is empty. Every other gets one of these, and so
exactly one terminal and then `{last}`:
"""

_RUN = """
A step that runs outside its turn has a run beside its life. A cancel ends it wherever it is; all else comes with its
answer.
"""

_REASONS = """
What its reason makes of its step. The [code](errors.md) of `overtaken` is that of a step for which no attempt is left.
"""

_VERDICTS = """
What is said to a message before its step is open. A control record that is admitted takes effect at once and has no
life of its own.
"""

_LANES = """
The verdicts by lane: the first lane goes before the second, the second before the third. Nobody decides about
[telemetry](telemetry.md): what has no room is dropped and counted.
"""

_STANDINGS = """
What each message does to a thread, by where the thread stands: first what it is told on the [control lane](control.md),
then what has a turn. `step` is every step, `close_into` the record of a thread that is merged into another. `applied`
is what it comes to when its own conditions hold ([forks](forks.md)); what `waits` is decided once the thread goes on. A
refusal has its [code](errors.md).
"""


def page(model: Model) -> str:
    """The text of the page."""
    return "".join(_sections(model))


def _sections(model: Model) -> Iterator[str]:
    yield _HEAD
    yield "\n## A step" + _STEP.format(first=model.step.first, last=model.step.last)
    yield "\n" + "".join(f"- {_path(path)}\n" for path in lives(model.step))
    yield _moves(model.step)
    yield "\n## A run" + _RUN
    yield _moves(model.run)
    yield "\n## Why a run ends" + _REASONS
    reasons = [(_code(name), _code(end.terminal), _code(end.code)) for name, end in model.reasons.items()]
    yield _table(("reason", "terminal", "code"), reasons)
    yield "\n## A node\n"
    yield _moves(model.node)
    yield "\n## Verdicts before " + model.step.first + _VERDICTS
    yield _table(("verdict", "leads to"), [(_code(name), _leads(opening)) for name, opening in model.verdicts.items()])
    yield _LANES
    lanes = [(_code(lane), ", ".join(map(_code, verdicts)) or "none") for lane, verdicts in model.lanes.items()]
    yield _table(("lane", "verdicts"), lanes)
    yield "\n## A thread" + _STANDINGS
    records = next(iter(model.standings.values()))
    effects = [
        (_code(record), *(_effect(model.standings[standing][record]) for standing in model.standings))
        for record in records
    ]
    yield _table(("record", *model.standings), effects)


def _moves(life: Life) -> str:
    rows = [(_code(now), ", ".join(map(_code, after)) or "its end") for now, after in life.moves.items()]
    return _table(("phase", "goes to"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _path(path: Sequence[str]) -> str:
    return " → ".join(map(_code, path))


def _leads(opening: Opening) -> str:
    if opening.leads_to:
        return _code(opening.leads_to)
    return "asked again" if opening.again else "no life"


def _effect(effect: Effect) -> str:
    if effect.code:
        return _code(effect.code)
    words = effect.does.replace("_", " ")
    return f"{words}: {effect.leads_to}" if effect.leads_to else words


def _code(name: str) -> str:
    return f"`{name}`" if name else ""
