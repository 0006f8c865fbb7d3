"""Goal: the reference pages say what the code says. Method: every table of theirs against the value it describes."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import fields
from importlib import import_module

import orjson
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from bench.__main__ import COLUMNS, RESULTS
from relmachine.cli.app import app
from relmachine.cli.failure import exit_of
from relmachine.errors import Code
from relmachine.gates import deciding
from relmachine.gates.classes import SizeBounds
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import Repeated
from relmachine.machine.dependence import Rule
from relmachine.machine.laws import check
from relmachine.machine.machine import Machine
from relmachine.machine.plan import FieldType, Kind, Reducer
from relmachine.machine.report import Law, Verdict
from relmachine.machine.view import View
from relmachine.observe.http_errors import STATUS
from relmachine.store.opening import SCHEMA
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.topology import Topology
from tests.contract.store_turns import Desk
from tests.unit.docs_pages import blocks, code, names, page, rows, section


class Empty(BaseModel):
    """A payload without members."""


def number(cell: str) -> float | None:
    return None if cell == "none" else float(cell.replace(",", ""))


def test_every_code_has_its_line_with_status_and_exit_code() -> None:
    told = [(row[0], row[-2], row[-1]) for row in rows(page("errors.md"))]
    assert sorted(told) == sorted((f"`{item}`", str(STATUS[item]), str(int(exit_of(item)))) for item in Code)


def test_the_statuses_of_http_are_those_of_the_code() -> None:
    told = {name: int(row[0]) for row in rows(section(page("http.md"), "## Errors")) for name in code(row[1])}
    assert told == {str(item): status for item, status in STATUS.items()}


@pytest.mark.parametrize(
    ("heading", "bounds"),
    [
        ("## Limits of a turn and its wire", Limits),
        ("## Bounds of the stream", StreamBounds),
        ("## Bounds of the policy server", OpaBounds),
        ("## Bounds of the calls between nodes", DaprBounds),
        ("## Bounds of the replicated store", RqliteBounds),
    ],
)
def test_every_bound_has_its_line_with_its_default(
    heading: str, bounds: type[Limits | StreamBounds | OpaBounds | DaprBounds | RqliteBounds]
) -> None:
    told = [(code(row[0]), number(row[1])) for row in rows(section(page("limits.md"), heading))]
    assert told == [([item.name], item.default) for item in fields(bounds) if not isinstance(item.default, str)]


def test_a_misspelt_bound_is_refused_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = section(page("limits.md"), "# Limits").partition("\n## ")[0]
    variables = sorted({name for name in code(told) if re.fullmatch("RELM_[A-Z_]+", name)})
    assert {"RELM_LIMITS", "RELM_STREAM_BOUNDS"} <= set(variables)
    for variable in variables:
        for value in ('{"query_row_max": 5}', '{"query_rows_max": "many", "batch_bytes_max": "many", "cases_max": []}'):
            monkeypatch.setenv(variable, value)
            result = CliRunner().invoke(app, ["dev", "no_such_machine.yaml"])
            assert (result.exit_code, "RELM_ variables" in result.stderr) == (2, True), (variable, value)
        monkeypatch.delenv(variable)


def test_fixed_bounds_are_those_of_the_code() -> None:
    told = rows(section(page("limits.md"), "## Fixed bounds"))
    assert told
    for place, value, _ in told:
        module, _, name = code(place)[0].rpartition(".")
        assert getattr(import_module(module), name) == number(value), place


def test_every_law_has_its_line_with_its_verdict() -> None:
    told = {
        code(law)[0]: otherwise for law, _, otherwise in rows(section(page("machines.md"), "## Laws of a declaration"))
    }
    assert list(told) == [str(law) for law in Law]
    assert [law for law, otherwise in told.items() if otherwise == "warns"] == [str(item.law) for item in _warned()]


def _warned() -> list[object]:
    """The laws that only warn, found on a machine that breaks those known to."""
    machine = Machine("doubtful")
    claim = machine.claim("claim")
    machine.step("fact", kind="process", asserts=[claim])
    machine.step("opinion", kind="derivation", asserts=[claim])

    @machine.inquiry(targets=["fact"])
    def asked(step: Empty, view: View) -> str:
        return "why?"

    report = check(machine.declaration)
    assert report.ok
    return [item for item in report.verdicts if item.verdict is Verdict.WARNING]


def test_rules_kinds_types_and_reducers_are_complete() -> None:
    text = page("machines.md")
    assert names(text, "## What commutes") == [str(rule) for rule in Rule]
    assert names(text, "## Kinds") == [str(kind) for kind in Kind]
    told = rows(section(text, "## Types and reducers"))
    assert {name for row in told for name in code(row[0])} == {*map(str, FieldType), *map(str, Reducer)}
    ordered = {name for row in told for name in code(row[0]) if row[-1] == "depend on each other"}
    assert ordered == {str(item) for item in Reducer if item.ordered}


def test_size_classes_and_reasons_are_those_of_the_policy() -> None:
    text = page("policy.md")
    told = rows(section(text, "## The grants file"))
    bounds = [number(found[1]) for row in told if (found := re.fullmatch(r"at most ([\d,]+) bytes", row[1]))]
    assert bounds == [getattr(SizeBounds(), item.name) for item in fields(SizeBounds)]
    assert names(text, "## Refusals") == list(deciding.ADVICE)


def test_relations_of_the_store_have_their_line_and_columns() -> None:
    text = page("store.md")
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    relations = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    told = {name for row in rows(text) for name in code(row[0])}
    assert told <= relations
    assert relations - told <= set(code(text)) | set(code(page("roadmap.md")))
    for table, _, columns in rows(section(text, "## What people ask for")):
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({code(table)[0]})")}
        assert set(code(re.sub(r"\([^)]*\)", "", columns))) <= known, table
    connection.close()


def test_feed_subjects_and_streams_are_those_of_the_topology() -> None:
    told = {code(row[0])[0]: (code(row[2]) or [None])[0] for row in rows(page("feeds.md"))}
    names = Topology("<machine>", {})
    feeds = {names.feed_subject(kind, "<thread>"): names.feed_stream(kind) for kind in ("journal", "out", "rejected")}
    step = {names.step_subject("<thread>", "<step>"): names.steps_stream}
    live = {names.live_subject("<kind>", "<thread>"): None}  # type: ignore[arg-type]
    assert told == {**step, **feeds, **live}


def test_feed_messages_have_the_members_that_the_page_shows() -> None:
    made = Desk.new()
    first, repeated = made.steps.admitted("t", "receive"), made.steps.admitted("t", "receive")
    proposal = made.turn(
        "t",
        first,
        Repeated(repeated.candidate, 1),
        made.steps.refused("t", "decide"),
        made.steps.admitted("t", "check"),
    )
    sent = {row.kind: orjson.loads(row.body) for row in proposal.outbox}
    shown = [orjson.loads(block.text) for block in blocks(page("feeds.md"), "json")]
    assert [_members(body) for body in shown] == [_members(sent[kind]) for kind in ("journal", "out", "rejected")]


def _members(body: dict[str, object]) -> tuple[set[str], dict[str, set[str]]]:
    """Members of the frame, and of the items in its list by their outcome."""
    (items,) = [value for value in body.values() if isinstance(value, list)]
    return set(body), {str(item.get("outcome")): set(item) for item in items}


def test_columns_of_the_benchmark_are_explained() -> None:
    assert set(names(page("performance.md"), "## Figures")) == set(COLUMNS)


def test_every_line_of_results_has_the_columns_of_the_benchmark() -> None:
    lines = [line.split(",") for line in RESULTS.read_text().splitlines()]
    assert lines[0] == list(COLUMNS)
    assert {len(line) for line in lines} == {len(COLUMNS)}
    assert len(lines) > 1
