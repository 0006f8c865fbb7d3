"""Goal: what a model says stays open, what a check says settles, a contest supersedes it, and no model is asked twice.
Method: the triage example on one whole node, its model counted; a second store on the same stream; a cancelled run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relmachine.cli.app import app
from relmachine.machine.dependence import derive
from relmachine.node import Node, Settings
from relmachine.replay.exporting import export
from relmachine.replay.replayer import Replayer
from relmachine.store import reading
from relmachine.store.verify import verify
from tests.e2e.serving_node import ServingNode, serving_node
from tests.triage import (
    DISK_FULL,
    HOLD,
    SECONDS_MAX,
    Counted,
    Data,
    identity,
    incident,
    publish,
    standings,
    until,
    work,
)

pytestmark = pytest.mark.process

CONTEST: tuple[str, Data] = ("contest_cause", {"reason": "it was full before"})

_LAST_SETTLED = "SELECT max(seq) FROM transitions WHERE thread = 'doubted' AND claim = 'cause_confirmed'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("triage")


@pytest.fixture(scope="module")
def model() -> Iterator[Counted]:
    counted = Counted()
    yield counted
    counted.released.set()


@pytest.fixture(scope="module")
def serving(folder: Path, model: Counted) -> Iterator[ServingNode]:
    with serving_node(model.machine, folder) as node:
        node.run(incident(node.node, "full"))
        yield node


def test_evidence_may_come_while_the_model_thinks(model: Counted) -> None:
    assert model.machine.check().ok
    assert ("hypothesise", "measure") not in derive(model.machine.declaration)
    assert ("hypothesise", "verify") in derive(model.machine.declaration)


def test_a_models_claim_stays_open_and_the_checks_settles(serving: ServingNode) -> None:
    found = serving.run(standings(serving.node, "full"))
    assert (found["cause_proposed"], found["reported"], found["routed"]) == ("effective", "effective", "effective")
    assert (found["cause_confirmed"], found["owner_paged"], found["report_filed"]) == ("settled",) * 3
    rows = serving.run(serving.node.store.select("SELECT claim FROM transitions WHERE thread = 'full'")).rows
    assert "cause_proposed" not in {claim for (claim,) in rows}, "it never settled, not for a moment"
    fields = serving.run(reading.section(serving.node.store, "full", settled_only=True)).fields
    assert "causes" not in fields
    assert str(fields["filed"]).startswith("['checkout: orders fail")


def test_every_pass_is_kept_also_the_one_that_was_made_again(serving: ServingNode) -> None:
    async def attempts() -> list[reading.AttemptView]:
        lines = await reading.runs(serving.node.store, "full")
        return [(await reading.run(serving.node.store, "full", line.request)).attempts[-1] for line in lines]

    hypothesis, report = serving.run(attempts())
    assert [item.decision for item in hypothesis.passes] == ["call", "retry", "call", "answer"]
    assert hypothesis.passes[0].tool == "settled, service_facts, parse_log_line"
    assert "no space left" in hypothesis.passes[0].output, "the tool that is not trusted has answered"
    assert "disk_full" in hypothesis.passes[1].error
    assert ([item.decision for item in report.passes], report.reason) == (["call", "answer"], "done")


def test_the_page_shows_claims_by_standing(serving: ServingNode) -> None:
    serving.run(incident(serving.node, "shown"))
    before = serving.client.get("/").text
    row = before[before.index("/threads/shown") :].partition("</tr>")[0]
    settled, claims = row.index("cause_confirmed"), row.index("cause_proposed")
    assert settled < claims
    assert "reported, routed" in row
    serving.run(work(serving.node, "shown", [CONTEST], CONTEST[0]))
    after = serving.client.get("/").text
    row = after[after.index("/threads/shown") :].partition("</tr>")[0]
    assert "cause_confirmed, owner_paged, report_filed</td>" in row


def test_a_contest_supersedes_and_a_new_proposal_alone_brings_nothing_back(serving: ServingNode) -> None:
    serving.run(incident(serving.node, "doubted"))
    serving.run(work(serving.node, "doubted", [CONTEST], CONTEST[0]))
    found = serving.run(_transitions(serving.node, "doubted"))
    assert found["cause_confirmed"] == found["report_filed"] == ["newly", "superseded"]
    why = serving.client.get("/threads/doubted/why/cause_confirmed").json()["claim"]
    assert (why["standing"], why["contested"]["step"]) == ("contested", "contest_cause")
    serving.run(work(serving.node, "doubted", [("hypothesise", {})], "hypothesise"))
    serving.run(until(serving.node, "doubted", "cause_confirmed", "settled"))
    events = serving.run(reading.events(serving.node.store, "doubted"))
    _, verified = [event.sequence for event in events if event.step == "verify"]
    (again,) = serving.run(serving.node.store.select(_LAST_SETTLED)).rows
    assert again == (verified,), "it settles when it is verified anew, not when it is proposed anew"


def test_a_cause_that_nothing_bears_out_is_never_confirmed(serving: ServingNode) -> None:
    observed, measured = DISK_FULL
    steps: list[tuple[str, Data]] = [
        ("observe", observed),
        ("measure", {**measured, "disk_used": 0.4}),
        ("hypothesise", {}),
    ]
    serving.run(work(serving.node, "wrong", steps, "file_report"))
    found = serving.run(standings(serving.node, "wrong"))
    assert (found["cause_proposed"], found["cause_confirmed"]) == ("effective", "absent")
    (refused,) = serving.run(reading.rejections(serving.node.store, "wrong"))
    assert (refused.step, refused.code) == ("verify", "closure_failed")
    assert "does not bear out disk_full" in str(refused.witness)


def test_the_route_keeps_watching_when_nobody_notices(serving: ServingNode) -> None:
    observed, measured = DISK_FULL
    steps: list[tuple[str, Data]] = [
        ("observe", observed),
        ("measure", {**measured, "error_rate": 0.0}),
        ("hypothesise", {}),
    ]
    serving.run(work(serving.node, "quiet", steps, "file_report"))
    found = serving.run(standings(serving.node, "quiet"))
    assert (found["watching"], found["owner_paged"]) == ("settled", "absent")


def test_a_playback_is_identical_and_asks_nobody(serving: ServingNode, model: Counted) -> None:
    asked = len(model.asked)

    async def play() -> None:
        replay = await Replayer(model.machine).replay(await export(serving.node.store, "full"))
        assert replay.identical, replay.differences
        assert (replay.runs, replay.decisions) == (2, 11)

    serving.run(play())
    assert len(model.asked) == asked


def test_a_store_built_again_is_the_same_and_asks_nobody(serving: ServingNode, model: Counted, tmp_path: Path) -> None:
    asked = len(model.asked)
    expected = serving.run(identity(serving.node, "full"))

    async def rebuild() -> None:
        settings = Settings(data_dir=tmp_path, http=False, nats_urls=(serving.node.stream.url,))
        async with Node.running(model.machine, settings) as second:
            await until(second, "full", "report_filed", "settled")
            assert await identity(second, "full") == expected
            assert len(model.asked) == asked, "what is on the stream is not asked for again"
            await incident(second, "both")
            assert (await verify(second.store)).ok

            await until(second, "both", "report_filed", "settled")
            ours.append(await identity(second, "both"))

    ours: list[object] = []
    asyncio.run(rebuild())
    serving.run(until(serving.node, "both", "report_filed", "settled"))
    assert serving.run(identity(serving.node, "both")) == ours[0], "two stores on one stream, whoever answered"


def test_a_cancelled_run_ends_soon_and_its_sibling_goes_on(serving: ServingNode, model: Counted, folder: Path) -> None:
    observed, measured = DISK_FULL
    for thread in ("gone", "kept"):
        steps: list[tuple[str, Data]] = [("observe", {**observed, "symptom": HOLD}), ("measure", measured)]
        serving.run(work(serving.node, thread, steps, "measure"))
    requests = {thread: serving.run(publish(serving.node, thread, "hypothesise")) for thread in ("gone", "kept")}
    assert all(model.held.acquire(timeout=SECONDS_MAX) for _ in requests), "both are asked"
    head = serving.client.get("/threads/gone").json()["history"]
    began = time.monotonic()
    told = CliRunner().invoke(app, ["thread", "cancel", "gone", "--context", str(folder)])
    assert told.exit_code == 0, told.output
    ended = serving.run(serving.node.outcome("gone", requests["gone"], SECONDS_MAX))
    assert ended is not None
    assert (ended["outcome"], ended["code"]) == ("refused", "run_cancelled")
    assert time.monotonic() - began < 5, "while the model would think for much longer"
    model.released.set()
    other = serving.run(serving.node.outcome("kept", requests["kept"], SECONDS_MAX))
    assert other is not None
    assert other["outcome"] == "committed"
    assert serving.client.get("/threads/gone").json()["history"] == head
    assert [event.step for event in serving.run(reading.events(serving.node.store, "gone"))] == ["observe", "measure"]
    serving.run(until(serving.node, "kept", "report_filed", "settled"))


def test_the_store_verifies_after_all_that(serving: ServingNode) -> None:
    report = serving.run(verify(serving.node.store))
    assert report.ok, report.fault


async def _transitions(node: Node, thread: str) -> dict[str, list[str]]:
    """What the out feed says of each claim, up to the contest."""
    found: dict[str, list[str]] = {}
    async with asyncio.timeout(SECONDS_MAX), node.stream.follow("out", thread, after=0) as feed:
        async for message in feed:
            for told in json.loads(message.body)["transitions"]:
                found.setdefault(told["claim"], []).append(told["kind"])
            if "superseded" in found.get("cause_confirmed", ()):
                break
    return found
