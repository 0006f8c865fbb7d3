"""Goal: the real log gives exactly its figures, once, whoever replays it and however often. Method: whole nodes with a
real nats-server; figures by SQL over their stores."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from relmachine.ingest.steps import survey
from relmachine.node import Node, Settings
from relmachine.node.log_replay import Replayed, Target, replay_log
from relmachine.store import reading
from relmachine.store.verify import verify
from relmachine.stream.bounds import StreamBounds
from tests import permit

pytestmark = pytest.mark.process

SHORT_WINDOW = StreamBounds(dedupe_window_seconds=0.2)


def figures_differ(found: dict[str, Any]) -> dict[str, Any]:
    """The expected figures that `found` does not have."""
    return {name: (found.get(name), value) for name, value in permit.expected().items() if found.get(name) != value}


async def replay_once(folder: Path, machine: Path = permit.YAML) -> tuple[Replayed, dict[str, str]]:
    """Replay the log on the node in `folder`; its figures and the head of every thread."""
    declared = permit.machine(machine)
    settings = Settings(data_dir=folder, http=False, stream_bounds=SHORT_WINDOW)
    async with Node.running(declared, settings) as node:
        target = Target(node.stream.publisher, node.store, node.pids())
        replayed = await replay_log(target, declared, survey(declared, permit.LOG))
        heads = await node.store.select("SELECT thread, head FROM threads ORDER BY thread")
        return replayed, {str(thread): str(head) for thread, head in heads.rows}


def test_the_command_prints_every_figure() -> None:
    command = [sys.executable, "-m", "relmachine", "replay", str(permit.YAML), str(permit.LOG), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert figures_differ(found) == {}
    assert found["steps_per_s"] > 0
    assert found["cpu_s_per_1k"] > 0


def test_a_second_replay_changes_nothing_and_both_forms_of_the_machine_agree(tmp_path: Path) -> None:
    """Also past the stream's dedupe window, after a restart, and verified from the events at the end."""
    first, heads = asyncio.run(replay_once(tmp_path / "yaml"))
    assert figures_differ(dict(first.figures)) == {}
    again, heads_again = asyncio.run(replay_once(tmp_path / "yaml"))
    assert (again.new_committed, again.new_rejected) == (0, 0)
    assert figures_differ(dict(again.figures)) == {}
    assert heads_again == heads

    python, heads_of_python = asyncio.run(replay_once(tmp_path / "python", permit.PYTHON))
    assert figures_differ(dict(python.figures)) == {}
    assert heads_of_python == heads


def test_a_repeated_step_is_answered_with_its_recorded_outcome(tmp_path: Path) -> None:
    """Goal also: refused steps are remembered. Method: the three refused steps of the log, published again."""
    refused = [(case, index) for case, index in refused_places()]

    async def work() -> None:
        settings = Settings(data_dir=tmp_path, http=False, stream_bounds=SHORT_WINDOW)
        async with Node.running(permit.machine(), settings) as node:
            for thread in {case for case, _ in refused}:
                bodies = [step.body for step in permit.cases()[thread]]
                accepted = await node.submit(thread, bodies)
                last = max(answer.sequence for answer in accepted)  # type: ignore[union-attr]
                assert await node.outcome(thread, last, 30) is not None
            before = await reading.totals(node.store)
            assert before.rejected == len(refused)
            for thread, index in refused:
                answer = (await node.submit(thread, [permit.cases()[thread][index].body]))[0]
                assert answer.duplicate  # type: ignore[union-attr]
                outcome = await node.outcome(thread, answer.sequence, 30)  # type: ignore[union-attr]
                assert outcome is not None
                assert outcome["outcome"] == "refused"
            assert await reading.totals(node.store) == before
            report = await verify(node.store)
            assert report.ok

    asyncio.run(work())


def refused_places() -> list[tuple[str, int]]:
    """Cases and places of the steps that the log's own rules refuse, found by a reading of the rules over the steps."""
    found: list[tuple[str, int]] = []
    for thread, steps in permit.cases().items():
        determined_by: str | None = None
        determined = checked = False
        for index, step in enumerate(steps):
            data = json.loads(step.body)["data"]
            if step.step_token in {"t02", "t03"}:
                checked = step.step_token == "t02"
            elif step.step_token == "t04":
                if determined_by not in {None, data.get("resource")} or not checked:
                    found.append((thread, index))
                else:
                    determined, determined_by = True, data.get("resource")
            elif step.step_token == "t05" and not (determined and checked):
                found.append((thread, index))
    return found
