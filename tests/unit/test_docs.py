"""Goal: what the pages tell people to do works. Method: run their Python, publish their steps through the gates, ask
their SQL, load their machines, resolve their links, look up their commands.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer.main

from relmachine.algebra.traces import normal_form
from relmachine.cli.app import app
from relmachine.engine.turn import Case, Engine
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.grants import parse_grants
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.event_rows import EventRow
from relmachine.kernel.limits import Limits
from relmachine.kernel.standing import settled
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Refused
from relmachine.machine.loader import load
from relmachine.machine.plan import Plan
from relmachine.machine.yaml_form import parse_machine
from relmachine.store.port import Table
from relmachine.store.sqlite import SqliteReading
from tests.unit.docs_pages import PAGES, ROOT, anchors, blocks, page, prose
from tests.unit.store.stored import ask, filled

_CURL = re.compile(
    r"^curl -s 'http://127\.0\.0\.1:8000/threads/([^/]+)/steps\S*' -d '(.+?)'$", re.MULTILINE | re.DOTALL
)
_PUBLISH = re.compile(r"^relm publish (\S+) (\S+)(?: --data '(.+?)')? --wait$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages_with(*languages: str) -> list[object]:
    found = [item for item in PAGES if blocks(item.read_text(encoding="utf-8"), *languages)]
    return [pytest.param(item, id=item.name) for item in found]


@pytest.mark.parametrize("path", pages_with("python"))
def test_python_blocks_run(path: Path) -> None:
    space: dict[str, object] = {"__name__": path.stem}
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        compiled = compile(block.text, str(path), "exec", dont_inherit=True)
        if block.runs:
            exec(compiled, space)


@pytest.mark.parametrize(
    ("name", "decided", "form", "settles"),
    [
        (
            "README.md",
            ["committed"] * 4,
            "(draft)(judge_facts judge_style)(release)",
            {"drafted", "released"},
        ),
        (
            "getting-started.md",
            ["committed", "committed", "requires", "committed", "committed", "committed"],
            "(report)(explain measure)(close)(doubt)",
            {"reported", "measured"},
        ),
    ],
)
def test_steps_of_the_tutorials_are_decided_as_told(
    tmp_path: Path, name: str, decided: list[str], form: str, settles: set[str]
) -> None:
    text = page(name)
    file = tmp_path / "machine.py"
    file.write_text(blocks(text, "python")[0].text)
    plan = load(file).plan()
    outcomes, events, claims = asyncio.run(_run(plan, _published(text)))
    assert outcomes == decided
    tiers = [event.tier for event in events]
    assert normal_form({index: event.step for index, event in enumerate(events)}, range(len(tiers)), tiers) == form
    assert claims == settles


def test_the_readme_tells_the_normal_form() -> None:
    assert "`(draft)(judge_facts judge_style)(release)`" in page("README.md")


def _published(text: str) -> list[tuple[str, bytes]]:
    """(thread, CloudEvent) of each step that the shell blocks publish, in order."""
    shell = "\n".join(block.text for block in blocks(text, "sh"))
    found = [(match.start(), match[1], match[2].encode()) for match in _CURL.finditer(shell)]
    for match in _PUBLISH.finditer(shell):
        data = orjson.loads(match[3] or "{}")
        event = {"specversion": "1.0", "source": "cli", "id": str(match.start()), "type": match[2], "data": data}
        found.append((match.start(), match[1], orjson.dumps(event)))
    assert len(found) == shell.count("curl -s") + shell.count("relm publish"), "a published step is not understood"
    return [(thread, body) for _, thread, body in sorted(found)]


async def _run(plan: Plan, steps: list[tuple[str, bytes]]) -> tuple[list[str], list[EventRow], set[str]]:
    """Decide the steps one turn each: what became of them, the events, the claims settled at the end."""
    assert len({thread for thread, _ in steps}) == 1
    engine, shape = Engine(plan, AdmissionGate(plan), Limits()), ShapeGate(plan, Limits())
    state = initial_state(plan, steps[0][0])
    outcomes: list[str] = []
    events: list[EventRow] = []
    for sequence, (thread, body) in enumerate(steps, start=1):
        candidate = shape.check(Message(sequence, thread, orjson.loads(body)["type"], body))
        assert isinstance(candidate, Candidate), candidate
        ((outcome,),) = await engine.decide([Case(state, [candidate])])
        outcomes.append(str(outcome.refusal.code) if isinstance(outcome, Refused) else "committed")
        proposal = advance(plan, state, [outcome])
        state = proposal.after
        events += proposal.events
    return outcomes, events, set(plan.claim_names(settled(plan, state.alive)))


def test_the_yaml_machine_passes_every_law() -> None:
    (block,) = blocks(page("machines.md"), "yaml")
    report = parse_machine(block.text).check()
    assert report.ok, report.failed
    assert not report.warnings


def test_the_grants_file_says_what_the_page_says() -> None:
    (block,) = blocks(page("policy.md"), "json")
    policy = RegoPolicy("article", parse_grants(block.text))

    def asked(principal: str, step: str, thread: str = "piece-1", size: int = 10) -> Candidate:
        return Candidate(1, thread, step, "key", "x" * size, "digest", principal=principal)

    questions = [
        asked("writer-1", "draft", size=100_000),
        asked("judge-facts", "judge_facts"),
        asked("nobody", "draft"),
        asked("writer-1", "judge_facts"),
        asked("judge-facts", "judge_facts", thread="other"),
        asked("judge-facts", "judge_facts", size=5_000),
    ]
    answers = asyncio.run(policy.decide(questions))
    reasons = [None if answer is None else answer.witness["reasons"] for answer in answers]
    assert reasons == [None, None, ["principal"], ["step"], ["thread"], ["size"]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("docs") / "store.db"
    filled(place)
    return place


@pytest.mark.parametrize("sql", [block.text for block in blocks(page("store.md"), "sql")])
def test_sql_examples_find_something(store: Path, sql: str) -> None:
    async def question(reading: SqliteReading) -> Table:
        return await reading.select(sql)

    found = ask(store, question)
    assert isinstance(found, Table)
    assert found.rows


@pytest.mark.parametrize("path", [pytest.param(item, id=item.name) for item in PAGES])
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in _LINK.findall(prose(text)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.is_file(), target
        assert path.parent in (ROOT, found.parent), f"{target} leaves the site"
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", pages_with("sh"))
def test_commands_and_their_options_exist(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8"), "sh"):
        for line in re.findall(r"^(?:\S+/)?relm (.+)$", block.text, re.MULTILINE):
            words = shlex.split(line, comments=True)
            command: Any = typer.main.get_command(app)
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            assert not hasattr(command, "commands"), f"relm {line}: no such command"
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, f"relm {line}: no such option"
