"""Goal: the demo ends with 0 exactly when every figure matches. Method: the whole command, once as shipped and once
against an expectation that the log does not meet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relmachine.cli import demo_agents, demo_permit
from relmachine.cli.app import app
from tests import permit

pytestmark = pytest.mark.process


def test_every_figure_matches() -> None:
    command = [sys.executable, "-m", "relmachine", "demo", "--once"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Every figure is as expected." in run.stdout
    assert "(confirmation_of_receipt)" in run.stdout, "no case was shown as tiers"


def test_the_agents_of_the_demo_end_as_told() -> None:
    command = [sys.executable, "-m", "relmachine", "demo", "--agents", "--once"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    told = [" ".join(line.split()) for line in run.stdout.splitlines()]
    order = [
        "pass 1 call settled, service_facts, parse_log_line",
        "pass 3 call publish",
        'pass 4 answer {"cause":"disk_full","certainty":"high"}',
        "5 after hypothesise verify committed",
        "cause_proposed effective asserted by hypothesise@4 (ada); it holds, and may still be taken back",
        "cause_confirmed settled asserted by verify@5 (ada)",
        "11 grace contest_cause committed",
        "5 newly cause_confirmed",
        "11 superseded cause_confirmed",
        "cause_confirmed is contested in incident-1",
        "9 events, 2 runs, 11 decisions",
        "Every figure is as expected.",
    ]
    assert [line for line in told if line in order] == order, run.stdout
    assert any(line.startswith("pass 2 retry your answer is not valid") for line in told)


def test_an_agent_that_does_otherwise_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def expected(folder: Path) -> Mapping[str, object]:
        return {**json.loads((folder / "expected.json").read_text()), "playback": "1 differences"}

    monkeypatch.setattr(demo_agents, "expected", expected)
    run = CliRunner().invoke(app, ["demo", "--agents", "--once", "--json"])
    assert (run.exit_code, json.loads(run.stdout)["ok"]) == (1, False), run.output


def test_a_figure_that_differs_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads((permit.FOLDER / "expected.json").read_text())

    def expected(folder: Path) -> Mapping[str, object]:
        return {**content, "figures": {**content["figures"], "histories": 70}}

    monkeypatch.setattr(demo_permit, "expected", expected)
    run = CliRunner().invoke(app, ["demo", "--once"])
    assert run.exit_code == 1, run.output
    assert "Not every figure is as expected." in run.output
