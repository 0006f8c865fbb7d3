"""Goal: what a store holds is told to people and programs alike, and never changed. Method: a small store's file."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from relmachine.cli import output
from relmachine.cli.app import app
from relmachine.node.context import Context

READING = [
    ["thread", "list"],
    ["thread", "show", "case 1"],
    ["why", "case 1", "checked"],
    ["section", "case 1"],
    ["rejected", "list"],
    ["rejected", "show", "case 1", "4"],
    ["verify"],
    ["sql", "select 1"],
]


def _run(context: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--context", str(context)])


def _json(context: Path, *arguments: str) -> Any:
    result = _run(context, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _rows(result: Result) -> Iterator[list[str]]:
    assert result.exit_code == 0, result.output
    return (line.split() for line in result.stdout.splitlines() if line.strip())


def test_threads_are_listed_under_their_names(context: Path) -> None:
    (line,) = _json(context, "thread", "list")
    assert (line["thread"], line["label"]) == ("case%201", "case 1")
    assert [line[name] for name in ("sequence", "depth", "tier", "rejections")] == [4, 3, 2, 1]
    assert ["case", "1", "3", "2", "1", "4", line["history"]] in _rows(_run(context, "thread", "list"))


def test_why_a_claim_stands_is_told_with_what_it_rests_on(context: Path) -> None:
    told = _json(context, "why", "case 1", "checked")
    assert (told["claim"]["standing"], told["claim"]["asserted"]["step"]) == ("settled", "check")
    assert [line["claim"] for line in told["rests_on"]] == ["received"]
    rows = [row[:2] for row in _rows(_run(context, "why", "case 1", "checked"))]
    assert rows.index(["checked", "settled"]) < rows.index(["received", "settled"])
    assert _run(context, "why", "case 1", "nothing").exit_code == 3


def test_a_thread_is_shown_as_tiers_with_what_is_settled_and_its_section(context: Path) -> None:
    shown = _json(context, "thread", "show", "case 1")
    assert shown == _json(context, "thread", "show", "case%201")
    assert shown["normal_form"] == "(receive)(check weigh)"
    assert shown["settled"] == ["checked", "received"]
    assert shown["fields"] == {"officers": ["Ann", "Bob", "[red]Cid[/]"]}
    assert shown["settled_fields"] == {"officers": ["Ann", "Bob"]}
    assert [event["step"] for event in shown["events"]] == ["receive", "check", "weigh"]
    rows = list(_rows(_run(context, "thread", "show", "case 1")))
    assert ["1", "receive@1"] in rows
    assert ["2", "check@2", "weigh@3"] in rows
    assert ["received", "settled", "asserted", "by", "receive@1", "(anonymous)"] in rows
    (weighed,) = [" ".join(row) for row in rows if row[0] == "weighed"]
    assert weighed == "weighed effective asserted by weigh@3 (anonymous); it holds, and may still be taken back"
    assert [(item["claim"], item["standing"]) for item in shown["claims"]] == [
        ("received", "settled"),
        ("checked", "settled"),
        ("weighed", "effective"),
    ]
    assert any("[red]Cid[/]" in " ".join(row) for row in rows)


def test_ids_stay_on_one_line_however_narrow_the_terminal(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "WIDTH_WITHOUT_TERMINAL", 60)
    history = _json(context, "thread", "list")[0]["history"]
    for command in (["thread", "list"], ["sql", "select head, seq from threads"]):
        (row,) = [row for row in _rows(_run(context, *command)) if any(history[:8] in word for word in row)]
        assert any(word.endswith("…") and history.startswith(word[:-1]) for word in row), row


@pytest.mark.parametrize("at", ["2", "history"])
def test_a_section_is_shown_as_of_a_point(context: Path, at: str) -> None:
    events = _json(context, "thread", "show", "case 1")["events"]
    point = events[1]["history"] if at == "history" else at
    view = _json(context, "section", "case 1", "--at", point)
    assert (view["sequence"], view["history"]) == (2, events[1]["history"])
    assert view["fields"] == {"officers": ["Ann", "Bob"]}
    assert f"history {events[1]['history']}" in _run(context, "section", "case 1", "--at", point).stdout


def test_the_settled_section_leaves_judgements_out(context: Path) -> None:
    assert _json(context, "section", "case 1", "--settled")["fields"] == {"officers": ["Ann", "Bob"]}


def test_refused_steps_are_listed_and_shown_with_their_witness(context: Path) -> None:
    (listed,) = _json(context, "rejected", "list")
    assert (listed["code"], listed["sequence"], listed["witness"]) == ("policy_denied", 4, {"field": "x"})
    assert _json(context, "rejected", "list", "--thread", "case 1") == [listed]
    assert _json(context, "rejected", "show", "case 1", "4") == listed
    plain = _run(context, "rejected", "show", "case 1", "4").stdout
    assert "policy_denied: ask for [the] grant" in plain
    assert "field: x" in plain
    assert "[the]" in _run(context, "rejected", "list").stdout


def test_verify_says_what_it_verified(context: Path) -> None:
    report = _json(context, "verify")
    assert (report["ok"], report["fault"], report["counts"]["events"]) == (True, None, 3)
    assert "3 events" in _run(context, "verify").stdout


@pytest.mark.parametrize("stored", ['{"officer":"Eve"}', '{"officer":"B\udcffb"}'])
def test_verify_names_the_first_event_that_was_changed(context: Path, stored: str) -> None:
    event = _json(context, "thread", "show", "case 1")["events"][1]
    with sqlite3.connect(context / "store.db") as connection:
        connection.execute("drop trigger events_update")
        raw = stored.encode(errors="surrogateescape")
        connection.execute("update events set payload = cast(? as text) where event_id = ?", (raw, event["event"]))
    connection.close()
    plain, as_json = _run(context, "verify"), _run(context, "verify", "--json")
    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    fault = json.loads(as_json.stdout)["fault"]
    assert (fault["thread"], fault["sequence"], fault["event_id"]) == ("case%201", 2, event["event"])
    assert event["event"] in plain.stdout


def test_sql_reads_and_cannot_write(context: Path) -> None:
    assert _json(context, "sql", "select step, tier from events order by number") == [
        {"step": "receive", "tier": 1},
        {"step": "check", "tier": 2},
        {"step": "weigh", "tier": 2},
    ]
    assert ["receive", "[x]", "#"] in _rows(_run(context, "sql", "select step, '[x]' as \"#a\", '#' from events"))
    for statement in ("delete from events", "drop table events", "attach 'x' as y", "select", "select 1; select 2"):
        refused = _run(context, "sql", statement)
        assert (refused.exit_code, refused.stderr.startswith("query_refused: ")) == (2, True), statement
    assert _json(context, "sql", "select count(*) as n from events") == [{"n": 3}]


def test_an_answer_that_is_too_large_is_refused(context: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    refused = _run(context, "sql", endless)
    assert (refused.exit_code, refused.stderr.startswith("limit_exceeded: ")) == (1, True)


@pytest.mark.parametrize("arguments", READING)
def test_a_folder_that_no_node_has_used_is_not_found(tmp_path: Path, arguments: list[str]) -> None:
    result = _run(tmp_path / "nowhere", *arguments)
    assert (result.exit_code, result.stderr.startswith("not_found: ")) == (3, True)
    assert "relm dev" in result.stderr


@pytest.mark.parametrize("content", [b"{oops", b"\xb5\xff", b"[]", b'{"machine": "desk"}', None])
def test_a_context_that_no_node_wrote_is_told_with_what_to_do(context: Path, content: bytes | None) -> None:
    file = context / "context.json"
    file.unlink()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    result = _run(context, "thread", "list")
    assert (result.exit_code, result.stderr.startswith("unreachable: remove this file")) == (4, True)
    assert "relm dev" in result.stderr


def test_a_context_that_may_not_be_read_is_told_apart(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    result = _run(context, "thread", "list")
    assert (result.exit_code, "Permission denied" in result.stderr) == (4, True)


def test_a_file_given_as_a_folder_is_told_as_such(context: Path) -> None:
    result = _run(context / "store.db", "thread", "list")
    assert (result.exit_code, "is a file: name the data folder" in result.stderr) == (3, True)


def test_a_copied_folder_is_read_from_the_copy_and_has_no_node(context: Path, tmp_path_factory: Any) -> None:
    running = Context.load(context).model_copy(update={"pid": os.getpid(), "nats_pid": os.getpid()})
    running.save(context)
    assert Context.load(context).running
    copy = tmp_path_factory.mktemp("copied") / "copy"
    shutil.copytree(context, copy)
    (context / "store.db").unlink()
    assert [line["label"] for line in _json(copy, "thread", "list")] == ["case 1"]
    assert Context.load(copy).store_path == copy / "store.db"
    assert not Context.load(copy).running
    assert "does not run" in _run(copy, "publish", "t1", "receive").stderr
    assert str(context) not in str(json.loads((context / "context.json").read_text())["store_path"])


@pytest.mark.parametrize("arguments", READING)
def test_nothing_read_changes_the_store(context: Path, arguments: list[str]) -> None:
    before = (context / "store.db").read_bytes()
    assert _run(context, *arguments).exit_code == 0
    assert (context / "store.db").read_bytes() == before
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("store-")]


@pytest.mark.parametrize(
    "arguments",
    [
        ["thread", "show", "case 2"],
        ["section", "case 2"],
        ["section", "case 1", "--at", "f" * 68],
        ["rejected", "list", "--thread", "case 2"],
        ["rejected", "show", "case 1", "1"],
        ["rejected", "show", "case 2", "4"],
    ],
)
def test_what_the_store_does_not_hold_is_not_found(context: Path, arguments: list[str]) -> None:
    result = _run(context, *arguments)
    assert (result.exit_code, result.stderr.startswith("not_found: ")) == (3, True)


def test_the_folder_may_be_named_by_a_variable(context: Path) -> None:
    result = CliRunner().invoke(app, ["thread", "list", "--json"], env={"RELM_CONTEXT": str(context)})
    assert [line["label"] for line in json.loads(result.stdout)] == ["case 1"]
