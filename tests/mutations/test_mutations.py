"""Goal: the programs report exactly the laws that each mutant of the permit log breaks, with true witnesses, and refuse
nothing valid. Method: per law, mutants of one changed cell against an independent check; a slice of `make mutations`.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from relmachine.gates.constraint_laws import SENTENCES
from tests.mutations import real
from tests.mutations.everything import ROOMS, families
from tests.mutations.family import Family, run
from tests.mutations.valid import valid

MUTANTS = 25
SUBJECTS = 10
ELEMENTS_MAX = 17
ADMISSION = {"requires", "contest_absent", "veto_too_late", "once"}


@pytest.mark.parametrize("room", ROOMS)
def test_the_programs_report_exactly_the_laws_that_are_broken(room: str) -> None:
    for family in ROOMS[room](ELEMENTS_MAX):
        result = run(family, Random(f"slice {family.name}"), MUTANTS)
        assert result.mismatches == [], family.name
        assert result.mutants == MUTANTS, family.name
        assert len(result.subjects) >= SUBJECTS, family.name


def test_every_law_has_a_family() -> None:
    assert {law for family in families(4) for law in family.laws} == {*SENTENCES, *ADMISSION}


def test_a_program_that_errs_is_noticed() -> None:
    """Method: a program that says nothing, and one that adds a witness."""

    def erring(family: Family[Any], wrong: Any) -> Family[Any]:
        return Family(family.name, family.laws, family.draw, family.broken, wrong, family.size)

    family = ROOMS["points"](ELEMENTS_MAX)[0]
    silent = run(erring(family, lambda mutants: [set() for _ in mutants]), Random(1), 5)
    loud = run(erring(family, lambda mutants: [{*said, ("up_reflexive", ("x",))} for said in family.ask(mutants)]),
               Random(1), 5)  # fmt: skip
    assert len(silent.mismatches) >= 5
    assert len(loud.mismatches) >= 5


def test_what_the_log_gives_is_never_refused() -> None:
    found = valid(ELEMENTS_MAX)
    assert [kind for kind in found if kind.refused] == []
    assert sum(kind.asked for kind in found) >= 5_000


def test_the_log_has_the_fibers_that_it_should() -> None:
    assert len(real.fibers()) == 158
    assert len(real.tables()) == 146, "those with up to 64 elements, and that of the empty history"
