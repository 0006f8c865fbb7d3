"""Goal: what a run was asked, saw and spent can be read by all, and its thread exported and replayed. Method: a real
node with a function model, behind HTTP, MCP and the command line; its machine in a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from typer.testing import CliRunner, Result

from relmachine.cli.app import app
from relmachine.machine.loader import load
from tests.e2e.serving_node import ServingNode, serving_node

pytestmark = pytest.mark.process

MACHINE = "from tests.unit.replay.triage import triage\n\nmachine = triage()\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    (folder / "machine.py").write_text(MACHINE)
    return folder


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[ServingNode]:
    path = folder / "machine.py"
    with serving_node(load(path), folder / "data", str(path)) as running:
        for number, (step, data) in enumerate([("observe", {"symptom": "slow"}), ("propose", {}), ("count", {})]):
            event = {"specversion": "1.0", "source": "test", "id": str(number), "type": step, "data": data}
            accepted = running.client.post("/threads/t/steps", content=json.dumps(event)).json()
            outcome = running.client.get(f"/threads/t/steps/{accepted['sequence']}", params={"timeout": 20})
            assert outcome.json()["outcome"] == "committed", outcome.text
        yield running


def relm(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--context", str(folder / "data")])


def relm_json(folder: Path, *arguments: str) -> Any:
    result = relm(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_runs_are_told_alike_over_http_mcp_and_at_the_command_line(serving: ServingNode, folder: Path) -> None:
    told = serving.client.get("/threads/t/runs").json()
    assert [(one["step"], one["state"], one["reason"], one["passes"]) for one in told["runs"]] == [
        ("propose", "committed", "done", 2),
        ("count", "committed", "done", 0),
    ]
    propose = told["runs"][0]
    assert propose["solver_seconds"] == 0.0, "the model asked the author's tool alone"
    assert (propose["model"], propose["tool_calls"], propose["tokens"] > 0) == ("author:default", 1, True)
    assert relm_json(folder, "thread", "runs", "t") == told["runs"]
    whole = serving.client.get(f"/threads/t/runs/{propose['request']}").json()
    (attempt,) = whole["attempts_made"]
    assert [one["kind"] for one in attempt["decisions"]] == ["model", "tool", "model"]
    assert [one["decision"] for one in attempt["passes"]] == ["call", "answer"]
    assert (whole["outcome"]["outcome"], whole["plan"]["step"]) == ("committed", "propose")

    async def by_mcp() -> tuple[Any, Any]:
        async with Client(str(serving.client.base_url.join("/mcp/"))) as client:
            listed = await client.call_tool("runs", {"thread": "t"})
            one = await client.call_tool("runs", {"thread": "t", "request": propose["request"]})
            return listed.structured_content, one.structured_content

    listed, one = serving.run(by_mcp())
    assert (listed["runs"], one["run"]) == (told["runs"], whole)


def test_a_page_of_runs_names_the_next_one(serving: ServingNode) -> None:
    first = serving.client.get("/threads/t/runs", params={"limit": 1}).json()
    rest = serving.client.get("/threads/t/runs", params={"after": first["after"]}).json()
    assert ([one["step"] for one in first["runs"]], [one["step"] for one in rest["runs"]]) == (["propose"], ["count"])
    assert rest["after"] is None
    missing = serving.client.get("/threads/t/runs/999")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_people_read_passes_and_decisions_cut_and_programs_whole(serving: ServingNode, folder: Path) -> None:
    listed = relm(folder, "thread", "runs", "t")
    assert (listed.exit_code, "author:default" in listed.stdout) == (0, True)
    request = str(serving.client.get("/threads/t/runs").json()["runs"][0]["request"])
    shown = relm(folder, "thread", "runs", "t", "--request", request)
    assert shown.exit_code == 0, shown.output
    assert "propose at" in shown.stdout
    assert "look" in shown.stdout
    assert "…" in shown.stdout, "long answers of models are cut for people"
    whole = relm_json(folder, "thread", "runs", "t", "--request", request)
    assert "…" not in json.dumps(whole, ensure_ascii=False)


def test_a_thread_is_exported_and_played_back_while_its_node_runs(serving: ServingNode, folder: Path) -> None:
    before = serving.client.get("/lag").json()["lanes"]
    whole = relm_json(folder, "replay-thread", "t")
    assert (whole["identical"], whole["mode"], whole["runs"]) == (True, "playback", 2)
    file = folder / "t.json"
    assert relm(folder, "thread", "export", "t", "--out", str(file)).exit_code == 0
    assert relm(folder, "thread", "export", "t").stdout == file.read_text()
    again = relm(folder, "replay-thread", "t", "--file", str(file), "--mode", "resimulate")
    assert (again.exit_code, "identical" in again.stdout) == (0, True)
    assert "look do, they do again" in again.stderr
    file.write_text(file.read_text().replace("slow", "slower", 1))
    differs = relm(folder, "replay-thread", "t", "--file", str(file), "--machine", str(folder / "machine.py"))
    assert (differs.exit_code, "next: " in differs.stdout, "event" in differs.stdout) == (1, True, True)
    assert "again" not in differs.stderr, "a playback calls no tool"
    after = serving.client.get("/lag").json()["lanes"]
    assert [one["newest"] for one in before] == [one["newest"] for one in after], "nothing was published"


def test_a_thread_says_what_it_was_told(serving: ServingNode, folder: Path) -> None:
    asked = {"record": "pause", "reason": "look first"}
    assert serving.client.get("/threads/t").json()["standing"] == "open"
    assert serving.client.post("/threads/t/control", content=json.dumps(asked)).status_code == 200
    told = serving.client.get("/threads/t").json()
    assert (told["standing"], told["runs_open"]) == ("paused", 0)
    assert "paused: its steps wait" in relm(folder, "thread", "show", "t").stdout
    for record, standing in (("close", "closed"), ("cancel", "cancelled")):
        body = json.dumps({"record": record, "reason": "enough"})
        assert serving.client.post("/threads/t/control", content=body).status_code == 200
        assert relm_json(folder, "thread", "show", "t")["standing"] == standing


def test_a_node_that_was_started_from_python_needs_a_machine_named(serving: ServingNode, folder: Path) -> None:
    context = folder / "data" / "context.json"
    kept = context.read_text()
    try:
        context.write_text(json.dumps({**json.loads(kept), "machine_path": None}))
        refused = relm(folder, "replay-thread", "t")
        assert (refused.exit_code, "--machine" in refused.stderr) == (3, True)
        assert relm(folder, "replay-thread", "t", "--machine", str(folder / "machine.py")).exit_code == 0
    finally:
        context.write_text(kept)
