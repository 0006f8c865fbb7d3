"""Goal: what is written from the model is what the model says, and no weakened row or guard goes unseen. Method: all
written again and compared by bytes; every pair and row asked one by one; every row changed, loaded and asked again."""

from __future__ import annotations

from pathlib import Path

import pytest

from relmachine.errors import Code
from relmachine.kernel.answer import Reason
from relmachine.kernel.control import RECORDS
from relmachine.kernel.lane import LANE
from relmachine.kernel.lifecycle import turn_name
from relmachine.kernel.transitions import ENDS, RecordName
from tables.__main__ import written
from tables.laws import broken
from tables.model import FILE, Model, read
from tables.python import python
from tests.tables.checker import faults
from tests.tables.loaded import LIFECYCLE, loaded
from tests.tables.mutants import mutants

MODEL = read()


def test_writing_everything_again_changes_no_byte() -> None:
    for path_, text in written(MODEL).items():
        assert path_.read_bytes() == text.encode(), f"{path_.name}: run `make tables`"


def test_the_model_keeps_to_every_law_and_the_tables_to_the_model() -> None:
    assert broken(MODEL) == []
    assert faults(MODEL, loaded()) == []


def test_every_reason_has_its_row_and_every_record_its_name() -> None:
    assert set(ENDS) == set(Reason)
    assert {end.code for end in ENDS.values()} <= {None, *Code}
    assert {turn_name(step) for step in ("note", *RECORDS)} | set(map(RecordName, LANE)) == set(RecordName)


def test_every_changed_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each is 0.1 s through the formatter, and its format is not what is asked about.
    monkeypatch.setattr("tables.python.formatted", lambda text: text)
    every = list(mutants(MODEL))
    unseen = [what for what, mutant in every if not _found(mutant)]
    lawless = sum(bool(broken(mutant)) for _, mutant in every)
    print(f"\n{len(every)} changed rows, {len(every) - len(unseen)} found; {lawless} break a law of the model already")
    assert unseen == []
    assert len(every) > 600


@pytest.mark.parametrize(
    ("guard", "weakened"),
    [
        ("if to not in moves[now]:", "if False:"),
        ("for now, to in pairwise(phases):", "for now, to in ():"),
        ("(phases[0], phases[-1]) != (STEP_FIRST, STEP_LAST)", "False"),
        ('_moved("node", NODE_MOVES, now, to)', "to"),
        ('_moved("run", RUN_MOVES, now, to)', "to"),
        ("StepPhase.ABORT, StepPhase.CLOSE)", "StepPhase.COMMIT, StepPhase.CLOSE)"),
        ('REFUSED = ""', "REFUSED = ABORTED"),
    ],
)
def test_every_weakened_guard_is_found(guard: str, weakened: str) -> None:
    assert LIFECYCLE.count(guard) == 1, guard
    assert faults(MODEL, loaded(functions=LIFECYCLE.replace(guard, weakened)))


def test_a_misspelt_member_of_the_model_is_an_error(tmp_path: Path) -> None:
    misspelt = tmp_path / "lifecycle.toml"
    misspelt.write_text(FILE.read_text().replace("again = true", "agian = true"))
    with pytest.raises(ValueError, match="agian"):
        read(misspelt)


def _found(mutant: Model) -> bool:
    """Whether the mutant's tables are no Python that loads, or are not what the model says."""
    try:
        changed = loaded(python(mutant))
    except Exception:  # whatever keeps a mutant from loading finds it
        return True
    return bool(faults(MODEL, changed))
