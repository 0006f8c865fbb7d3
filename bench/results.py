"""The files of results: one line per run, with what is needed to compare it with another."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def append(path: Path, columns: Sequence[str], row: Mapping[str, object]) -> None:
    """One line more; earlier lines get the columns of today, empty where they had none."""
    rows: list[Mapping[str, object]] = []
    if path.exists():
        with path.open(newline="") as file:
            rows.extend(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])


def commit() -> str:
    """The commit that is measured."""
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"
