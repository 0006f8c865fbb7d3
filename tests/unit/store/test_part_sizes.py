"""Goal: nobody waits long for the writer's place, however many and however large the steps of a commit are. Method:
turns of steps of given sizes, parted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from relmachine.kernel.proposal import Proposal
from relmachine.store.parts import PART_BYTES_MAX, STEPS_PER_PART_MAX, first_part
from tests.contract.store_turns import Desk


def turns(threads: int, characters: int) -> list[Proposal]:
    """One turn of one step for each thread, with a payload of so many characters."""
    made = Desk.new()
    names = [f"t{number}" for number in range(threads)]
    return [made.turn(name, made.steps.admitted(name, "receive", union="x" * characters)) for name in names]


def parted(proposals: Sequence[Proposal], steps_max: int) -> list[Sequence[Proposal]]:
    """All of them, part by part."""
    parts: list[Sequence[Proposal]] = []
    while proposals:
        parts.append(first_part(proposals, steps_max))
        proposals = proposals[len(parts[-1]) :]
    return parts


@pytest.mark.parametrize(
    ("characters", "most"), [(1, STEPS_PER_PART_MAX), (PART_BYTES_MAX // 10, 4), (2 * PART_BYTES_MAX, 1)]
)
def test_a_part_has_few_steps_and_few_bytes(characters: int, most: int) -> None:
    """The text of a payload is in its event, and in what it contributes."""
    proposals = turns(2 * STEPS_PER_PART_MAX, characters)
    parts = parted(proposals, STEPS_PER_PART_MAX)
    assert [proposal for part in parts for proposal in part] == proposals
    assert 1 <= max(map(len, parts)) <= most
    assert len(parts) >= len(proposals) // most


def test_parts_are_as_large_as_they_may_be() -> None:
    assert [len(part) for part in parted(turns(40, 1), 16)] == [16, 16, 8]
    assert [len(part) for part in parted(turns(40, 1), 1)] == [1] * 40
    assert not first_part([], 16)


def test_what_one_record_brings_counts_by_its_events() -> None:
    """A merge is decided by one receipt, however many events it brings."""
    small = turns(3, 1)
    merge = replace(small[1], thread_events=small[1].thread_events * 20)
    assert [len(part) for part in parted([small[0], merge, small[2]], 16)] == [1, 1, 1]
