"""The triggers that hold a store to the life of a step: a block of `store/schema.sql`."""

from __future__ import annotations

from collections.abc import Iterator

from tables.model import ROOT, Model, life_with

FILE = ROOT / "src" / "relmachine" / "store" / "schema.sql"

BEGIN = "-- Written by `make tables` from kernel/lifecycle.toml: one terminal, and that is the end of a step.\n"
END = "-- Up to here it is written by `make tables`.\n"


def triggers(model: Model) -> dict[str, str]:
    """The triggers by name."""
    return {**dict(_only(model)), **dict(_second(model))}


def schema(model: Model, text: str) -> str:
    """The schema `text` with its block written anew. Errors: ValueError when it has no such block, or several."""
    if (text.count(BEGIN), text.count(END)) != (1, 1):
        raise ValueError(f"{FILE.name} needs one block between {BEGIN!r} and {END!r}")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "".join(triggers(model).values()) + END + rest.partition(END)[2]


def _only(model: Model) -> Iterator[tuple[str, str]]:
    """A stored life is the one of its terminal. What was refused before OPEN has none."""
    for terminal, stored in model.step.terminals.items():
        life = life_with(model.step, terminal)
        wrong = f"NEW.lifecycle <> '{life}'" if stored.life != stored.place else f"NEW.lifecycle NOT IN ('', '{life}')"
        yield _trigger(f"{stored.life}_terminal", stored.life, wrong, stored.only)


def _second(model: Model) -> Iterator[tuple[str, str]]:
    """Where one terminal is, no other comes."""
    for name, stored in model.step.terminals.items():
        for other_name, other in model.step.terminals.items():
            if name != other_name:
                there = f"EXISTS (SELECT 1 FROM {other.place} WHERE thread = NEW.thread AND seq = NEW.seq)"
                yield _trigger(f"{stored.place}_second_terminal", stored.place, there, other.second)


def _trigger(name: str, table: str, when: str, sentence: str) -> tuple[str, str]:
    text = f"CREATE TRIGGER {name} BEFORE INSERT ON {table}\nWHEN {when} BEGIN\n"
    return name, f"{text}  SELECT RAISE(ABORT, 'terminal: {sentence}');\nEND;\n"
