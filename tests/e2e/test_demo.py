"""Goal: a demo ends with 0 exactly when every figure matches, and shows what its page says. Method: the whole commands,
once as shipped and once against an expectation that is not met."""

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
from tests.unit.docs_pages import blocks, page

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
    order = [line for block in blocks(page("triage.md"), "text") for line in block.text.splitlines()]
    assert len(order) > 20
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
