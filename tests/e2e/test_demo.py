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

from relmachine.cli import demo_permit
from relmachine.cli.app import app
from tests import permit

pytestmark = pytest.mark.process


def test_every_figure_matches() -> None:
    command = [sys.executable, "-m", "relmachine", "demo", "--once"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Every figure is as expected." in run.stdout
    assert "(confirmation_of_receipt)" in run.stdout, "no case was shown as tiers"


def test_a_figure_that_differs_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads((permit.FOLDER / "expected.json").read_text())

    def expected(folder: Path) -> Mapping[str, object]:
        return {**content, "figures": {**content["figures"], "histories": 70}}

    monkeypatch.setattr(demo_permit, "expected", expected)
    run = CliRunner().invoke(app, ["demo", "--once"])
    assert run.exit_code == 1, run.output
    assert "Not every figure is as expected." in run.output
