"""Goal: `relm` starts fast and tells what it can do. Method: its help, and what is loaded before a command runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from relmachine.cli.app import app
from relmachine.version import __version__

COMMANDS = ["dev", "demo", "check", "publish", "replay", "thread", "section", "rejected", "verify", "sql"]
COMMANDS += ["up", "status", "down", "servers"]
HEAVY = "pydantic fastapi uvicorn nats clingo regopy langgraph rich orjson structlog relmachine.machine.machine"


def test_the_help_names_every_command_and_the_exit_codes() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.stdout for name in COMMANDS)
    assert "3 not found" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "-h"])
    assert (result.exit_code, "Usage:" in result.stdout) == (0, True)


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"relm {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [["no_such"], ["check"], ["check", "x", "--no-such"], ["thread", "shew"], ["dev", "x", "--port", "99999"]],
)
def test_a_command_line_that_makes_no_sense_is_a_usage_error(arguments: list[str]) -> None:
    plain, as_json = (CliRunner().invoke(app, [*arguments, *more]) for more in ([], ["--json"]))
    assert (plain.exit_code, as_json.exit_code) == (2, 2)
    assert "Error: " in plain.stderr
    error = json.loads(as_json.stderr)["error"]
    assert (error["code"], as_json.stdout) == ("query_refused", "")
    assert f"(see `{error['witness']['command']} -h`)" in error["sentence"]


def test_nothing_heavy_is_loaded_before_a_command_runs() -> None:
    code = f"import sys, relmachine.cli.app; print(*sorted(set('{HEAVY}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
