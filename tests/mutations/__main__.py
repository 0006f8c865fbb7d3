"""`make mutations`: every law of the constraint layer, broken at random places of the permit log; prints a table.

Ends with 1 when a program said anything else than the independent check, or refused what is valid.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random

from rich.console import Console
from rich.table import Table

from tests.mutations import real
from tests.mutations.everything import families
from tests.mutations.family import run
from tests.mutations.valid import valid


def main() -> int:
    """Run all families and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--mutants", type=int, default=200, help="mutants of each family that break a law of it")
    parser.add_argument("--elements", type=int, default=real.ELEMENTS_MAX, help="largest fiber taken as tables")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 180)
    wrong = 0
    table = Table("family", "mutants", "others", "subjects", "laws broken, and by how many", "mismatches")
    started = time.process_time()
    for family in families(given.elements):
        result = run(family, Random(f"{given.seed} {family.name}"), given.mutants)
        wrong += len(result.mismatches) + (result.mutants < given.mutants)
        laws = ", ".join(f"{law} {count}" for law, count in result.laws.most_common())
        table.add_row(
            result.name,
            str(result.mutants),
            str(result.others),
            str(len(result.subjects)),
            laws,
            str(len(result.mismatches)),
        )
        for mismatch in result.mismatches[:3]:
            console.print(f"{result.name}: {mismatch}", style="red")
    console.print(table)
    asked = Table("valid", "asked", "refused")
    for kind in valid(given.elements):
        wrong += len(kind.refused)
        asked.add_row(kind.kind, str(kind.asked), str(len(kind.refused)))
    console.print(asked)
    console.print(f"seed {given.seed}, {time.process_time() - started:.0f} s of CPU")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
