"""Goal: the benchmark's files of results keep their lines and say what their columns mean. Method: the files, the page
that explains them, and lines appended to a file of an earlier shape."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.cluster import COLUMNS, RESULTS
from bench.results import append
from tests.unit.docs_pages import names, page


def test_columns_of_the_cluster_benchmark_are_explained() -> None:
    assert set(names(page("performance.md"), "## Figures of the cluster")) == set(COLUMNS)


def test_every_line_of_the_cluster_results_has_its_columns() -> None:
    lines = [line.split(",") for line in RESULTS.read_text().splitlines()]
    assert lines[0] == list(COLUMNS)
    assert {len(line) for line in lines} == {len(COLUMNS)}
    assert {line[COLUMNS.index("stream_sync")] for line in lines[1:]} == {"default", "always"}


def test_earlier_lines_get_the_columns_of_today(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append(path, ("date", "steps"), {"date": "1", "steps": 10})
    append(path, ("date", "cores", "steps"), {"date": "2", "cores": 4, "steps": 20})
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["date", "cores", "steps"], ["1", "", "10"], ["2", "4", "20"]]
