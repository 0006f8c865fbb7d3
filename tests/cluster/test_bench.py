"""Goal: the benchmark of the cluster measures a real one and holds its outcomes to what is expected. Method: its
command with few steps, and once with steps whose expected outcome is changed beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import cluster, cluster_runs
from bench.workload import Work
from tests.cluster.whole import alone

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow, pytest.mark.timeout(600)]

QUICK = ["--quick", "--sync", "default"]


def test_a_quick_run_measures_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = cluster.RESULTS.read_bytes()
    with alone():
        assert cluster.main(QUICK) == 0
    shown = {
        line.split("│")[1].strip(): line.split("│")[2].strip()
        for line in capsys.readouterr().out.splitlines()
        if "│" in line
    }
    assert set(cluster.COLUMNS) == set(shown)
    measured = {name: float(shown[name]) for name in ("steps_per_s", "p50_ms", "node_cpu_s_per_1k", "turns")}
    assert all(value > 0 for value in measured.values()), measured
    assert float(shown["p50_ms"]) <= float(shown["p99_ms"])
    assert cluster.RESULTS.read_bytes() == before


def test_an_outcome_that_is_not_expected_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = cluster_runs.workload

    def wrong(threads: int, per_thread: int, seed: int) -> list[Work]:
        first, *rest = drawn(threads, per_thread, seed)
        return [replace(first, expected="once"), *rest]

    monkeypatch.setattr(cluster_runs, "workload", wrong)
    with alone(), pytest.raises(AssertionError, match="workload W expects"):
        cluster.main(QUICK)
