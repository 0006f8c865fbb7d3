"""Goal: the matrix written as metadata is the machine's, always short enough, and two of them tell what differs.
Method: random matrices written and read; every entry damaged; differences against sets of pairs."""

from __future__ import annotations

import random
from base64 import b64encode
from zlib import compress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.machine.loader import load
from relmachine.stream.matrix import MATRIX_BYTES_MAX, Matrix, difference, read, written
from tests import permit

NAMES = "abcdefgh"


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    steps = sorted(draw(st.sets(st.sampled_from(NAMES), min_size=1)))
    return Matrix.of(steps, [draw(st.integers(0, 2 ** len(steps) - 1)) for _ in steps])


def wide(steps: int) -> Matrix:
    """A random matrix, which compresses worst."""
    chance = random.Random(steps)
    names = [f"{chance.randrange(16**8):08x}{number}" for number in range(steps)]
    return Matrix.of(names, [chance.getrandbits(steps) for _ in names])


@given(matrices())
def test_what_is_written_is_read(matrix: Matrix) -> None:
    assert written(matrix)["matrix_form"] == "plain"
    assert read(written(matrix)) == matrix


def test_the_matrix_of_the_permit_machine_is_that_of_its_plan() -> None:
    plan = load(permit.YAML).plan()
    names = [step.name for step in plan.steps]
    found = read(written(Matrix.of(names, plan.dependent)))
    assert found is not None
    assert found.pairs() == {
        (names[i], names[j]) for i, mask in enumerate(plan.dependent) for j in range(i + 1, len(names)) if mask >> j & 1
    }


def test_the_written_form_is_the_documented_one() -> None:
    entries = written(Matrix.of(["received", "checked", "noted"], [0b011, 0b011, 0b100]))
    assert entries == {"matrix_form": "plain", "steps": "received checked noted", "dependence": "0 1 0"}


@pytest.mark.parametrize(("steps", "form"), [(400, "plain"), (700, "zlib"), (1500, "digest")])
def test_large_ones_are_compressed_and_larger_ones_left_out(steps: int, form: str) -> None:
    matrix = wide(steps)
    entries = written(matrix)
    assert entries["matrix_form"] == form
    assert sum(map(len, entries.values())) <= MATRIX_BYTES_MAX + len(form)
    assert read(entries) == (None if form == "digest" else matrix)


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"matrix_form": "digest"},
        {"matrix_form": "plain", "steps": "a b"},
        {"steps": "a b", "dependence": "0 1"},
        {"matrix_form": "plain", "steps": "a b", "dependence": "0"},
        {"matrix_form": "plain", "steps": "a b", "dependence": "0 2"},
        {"matrix_form": "plain", "steps": "a b", "dependence": "0 -1"},
        {"matrix_form": "plain", "steps": "a b", "dependence": "0 x"},
        {"matrix_form": "other", "steps": "a b", "dependence": "0 1"},
        {"matrix_form": "zlib", "steps": "a b", "dependence": "0 1"},
        {"matrix_form": "zlib", "steps": b64encode(compress(b"a b")).decode()[:-4], "dependence": "AAAA"},
        {"matrix_form": "zlib", "steps": b64encode(compress(b" " * 2**27)).decode(), "dependence": "AAAA"},
    ],
    ids=range(12),
)
def test_what_somebody_else_wrote_is_none_and_no_error(entries: dict[str, str]) -> None:
    assert read(entries) is None


@given(matrices(), matrices())
def test_a_difference_names_every_pair_of_steps_that_both_have(here: Matrix, there: Matrix) -> None:
    both = set(here.steps) & set(there.steps)
    found = difference(here, there)
    assert set(found.dependent_here) == {p for p in here.pairs() - there.pairs() if both.issuperset(p)}
    assert set(found.dependent_there) == {p for p in there.pairs() - here.pairs() if both.issuperset(p)}
    assert (set(found.steps_here), set(found.steps_there)) == (set(here.steps) - both, set(there.steps) - both)
    assert ("something else of the laws" in found.sentence()) == (here == there)
    assert bool(found.as_json()) == (here != there)


def test_a_long_difference_is_cut_and_counted() -> None:
    names = [f"s{number:02}" for number in range(12)]
    everything, nothing = Matrix.of(names, [2**12 - 1] * 12), Matrix.of(names, [0] * 12)
    found = difference(everything, nothing)
    assert len(found.dependent_here) == 66
    assert "s00 and s10, and 56 more are dependent in this machine" in found.sentence()
    shown = found.as_json()
    assert shown["dependent_only_in_this_machine_count"] == 66
    assert shown["dependent_only_in_this_machine"] == [["s00", f"s{number:02}"] for number in range(1, 11)]
