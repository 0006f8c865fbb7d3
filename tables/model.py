"""The model of the life of steps, runs, nodes and threads, as `kernel/lifecycle.toml` has it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "src" / "relmachine" / "kernel" / "lifecycle.toml"

Does = Literal["applied", "refused", "no_effect", "waits"]


class Part(BaseModel):
    """A part of the model. A misspelt member is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Life(Part):
    """Phases and moves between them: `moves` has a row for each phase, `last` is the only one that ends, if one is."""

    first: str
    last: str = ""
    moves: dict[str, tuple[str, ...]]


class Terminal(Part):
    """Where a terminal of a step is stored: the phases in table `life`, thread and sequence in table `place`.

    `only` and `second` are what the store says to a life with another terminal, and to a second terminal.
    """

    life: str
    place: str
    only: str
    second: str


class StepLife(Life):
    """The life of a step, with its terminals."""

    terminals: dict[str, Terminal]


class End(Part):
    """What the reason of a run's end makes of its step. See the file."""

    terminal: str = ""
    code: str = ""


class Opening(Part):
    """What a verdict before OPEN leads to: a first phase, or nothing; `again` when the message is asked about again."""

    leads_to: str
    again: bool = False


class Effect(Part):
    """What a record does to a thread; `leads_to` is the thread's standing after it, empty where it stays."""

    does: Does
    code: str = ""
    leads_to: str = ""


class Model(Part):
    """The whole model."""

    step: StepLife
    node: Life
    run: Life
    reasons: dict[str, End]
    verdicts: dict[str, Opening]
    lanes: dict[str, tuple[str, ...]]
    standings: dict[str, dict[str, Effect]]


def read(path: Path = FILE) -> Model:
    """The model in the file. Errors: `tomllib.TOMLDecodeError`, `pydantic.ValidationError`."""
    return Model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def lives(life: StepLife) -> list[tuple[str, ...]]:
    """Every maximal path from the first phase. Errors: ValueError when a path comes back to where it was."""
    found: list[tuple[str, ...]] = []
    under_way: list[tuple[str, ...]] = [(life.first,)]
    while under_way:
        path = under_way.pop()
        after = life.moves[path[-1]]
        if any(phase in path for phase in after):
            raise ValueError(f"a step goes in a circle: {'>'.join(path)} and on to {after}")
        if not after:
            found.append(path)
        under_way += [(*path, phase) for phase in reversed(after)]
    return found


def life_with(life: StepLife, terminal: str) -> str:
    """The one life with this terminal, as stored. Errors: ValueError when there is none, or more than one."""
    (path,) = [path for path in lives(life) if terminal in path]
    return ">".join(path)
