"""Goal: `relm servers` shows what is here, and builds what is not. Method: the commands on caches of the test's own,
one with a server that a fake `go` built.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relmachine.cli.app import app
from relmachine.servers import builder, presence
from relmachine.servers.manifest import manifest
from tests.unit.servers.fake_go import FakeGo
from tests.unit.servers.fake_maker import KNOWN


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_list_names_every_server_and_how_to_get_it() -> None:
    result = CliRunner().invoke(app, ["servers", "list"])
    assert result.exit_code == 0
    for server in manifest().servers.values():
        (line,) = [line.split() for line in result.stdout.splitlines() if line.split()[:1] == [server.name]]
        assert line[1] == server.version
    assert result.stdout.count("not here: make servers") == len(manifest().built())


def test_the_list_as_json_has_paths_or_null() -> None:
    result = CliRunner().invoke(app, ["servers", "list", "--json"])
    listed = {server["name"]: server for server in json.loads(result.stdout)}
    assert listed.keys() == manifest().servers.keys()
    assert listed["rqlited"]["path"] is None
    assert Path(listed["nats-server"]["path"]).is_file()


def test_building_prints_progress_on_stderr_and_the_result_on_stdout(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = FakeGo(tmp_path / "fake")
    go.install()
    monkeypatch.setenv("PATH", f"{go.bin}{os.pathsep}{os.environ['PATH']}")
    for module in (builder, presence):
        monkeypatch.setattr(module, "manifest", lambda: KNOWN)
    first = CliRunner().invoke(app, ["servers", "build", "--only", "hammer", "--json"])
    assert first.exit_code == 0, first.stderr
    assert first.stderr.splitlines() == ["hammer 1.0.0: building from example.org/tools", "hammer 1.0.0: 0 s, 0 MB"]
    (built,) = json.loads(first.stdout)
    assert Path(built["path"]).is_relative_to(cache_home)
    assert built["fresh"]
    again = CliRunner().invoke(app, ["servers", "build", "--only", "hammer"])
    assert again.stderr == ""
    assert "servers: 1; 0 s of building now, 0 s before" in again.stdout
    assert _row(again.stdout, "hammer")[:5] == ["hammer", "1.0.0", "before", "0", "0"]
    listed = CliRunner().invoke(app, ["servers", "list"])
    assert _row(listed.stdout, "hammer")[:5] == ["hammer", "1.0.0", "go", "MIT", "0"]


def _row(printed: str, name: str) -> list[str]:
    """The cells of a table's row; a long path may go on below."""
    (row,) = [line.split() for line in printed.splitlines() if line.split()[:1] == [name] and len(line.split()) > 4]
    return row


def test_a_name_that_nobody_has_is_not_found() -> None:
    result = CliRunner().invoke(app, ["servers", "build", "--only", "chisel", "--json"])
    assert result.exit_code == 3
    assert json.loads(result.stderr)["error"]["witness"]["name"] == "chisel"
