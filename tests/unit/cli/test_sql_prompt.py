"""Goal: the prompt of `relm sql` takes statements as people and programs send them, and changes nothing unasked.
Method: the command on a small store's file, fed by a pipe, and typed at a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from relmachine.cli.app import app

DEADLINE_SECONDS = 30.0
STEPS = "select step\nfrom events\norder by number;"


def _run(context: Path, typed: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["sql", "--context", str(context), *options], input=typed)


def _documents(text: str) -> Iterator[object]:
    """The JSON values that `text` is a row of."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        yield value
        at += len(text[at:]) - len(text[at:].lstrip())


def test_statements_from_a_pipe_go_over_lines_and_share_them(context: Path) -> None:
    typed = f"-- first\n{STEPS} select 1 as one; select ';' as \"a;b\"\n;\n\nselect 2 as last"
    result = _run(context, typed, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    steps = [{"step": name} for name in ("receive", "check", "weigh")]
    assert list(_documents(result.stdout)) == [steps, [{"one": 1}], [{"a;b": ";"}], [{"last": 2}]]


def test_rows_are_tables_for_people(context: Path) -> None:
    lines = [line.split() for line in _run(context, "select step, tier, '[b]' as x from events;").stdout.splitlines()]
    assert ["step", "tier", "x"] in lines
    assert ["receive", "1", "[b]"] in lines


def test_the_first_error_in_a_pipe_ends_it(context: Path) -> None:
    result = _run(context, "select 1 as one; select nix from nowhere; select 2 as two;")
    assert result.exit_code == 2
    assert result.stderr.startswith("query_refused: ")
    assert "one" in result.stdout
    assert "two" not in result.stdout


def test_rows_change_only_with_write_and_after_a_warning(context: Path) -> None:
    insert = "insert into peers values ('p', '{}');"
    refused = _run(context, insert)
    assert (refused.exit_code, "relm sql --write" in refused.stderr) == (2, True)
    result = _run(context, f"{insert} delete from events;", "--write")
    assert "Triggers\nstill hold" in result.stderr
    assert "1 row changed" in result.stdout
    assert (result.exit_code, "write_once: events" in result.stderr) == (2, True)
    counts = "select (select count(*) from peers) as peers, (select count(*) from events) as events;"
    assert list(_documents(_run(context, counts, "--json").stdout)) == [[{"peers": 1, "events": 3}]]
    told = _run(context, "delete from peers;", "--write", "--json").stdout
    assert list(_documents(told)) == [{"changed": 1}]


def test_commands_show_what_there_is(context: Path) -> None:
    (tables,) = _documents(_run(context, ".tables\n", "--json").stdout)
    assert {"name": "events", "type": "table"} in tables
    assert {"name": "accord_sections", "type": "view"} in tables
    one, every = (_run(context, f".schema{name}\n").stdout for name in (" peers", ""))
    assert one.startswith("CREATE TABLE peers (")
    assert one in every
    assert "CREATE VIEW claims" in every
    assert "every read sees the last commit" in _run(context, ".level\n").stdout
    assert ".schema [NAME]" in _run(context, ".help\n").stdout
    assert _run(context, ".quit\nselect nix;").exit_code == 0
    assert (_run(context, ".schema nix\n").exit_code, _run(context, ".nix\n").exit_code) == (3, 2)


@pytest.mark.parametrize("options", [["--write"], ["--level", "weak"]])
def test_options_of_the_prompt_do_not_go_with_a_query(context: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["sql", "select 1", "--context", str(context), *options])
    assert (result.exit_code, "leave QUERY out" in result.stderr) == (2, True)


def test_a_file_has_no_read_levels(context: Path) -> None:
    result = _run(context, "select 1;", "--level", "weak")
    assert (result.exit_code, "every read sees the last commit" in result.stderr) == (2, True)


def test_where_no_store_is(context: Path, tmp_path: Path) -> None:
    assert _run(tmp_path / "nowhere", "select 1;").exit_code == 3
    (context / "store.db").unlink()
    assert _run(context, "select 1;").exit_code == 3


class _Terminal:
    """The command at a terminal of its own."""

    def __init__(self, context: Path, state: Path, *options: str) -> None:
        environment: Mapping[str, str] = {**os.environ, "XDG_STATE_HOME": str(state), "TERM": "dumb", "COLUMNS": "100"}
        self._pid, self._end = pty.fork()
        if self._pid == 0:
            arguments = [sys.executable, "-m", "relmachine", "sql", "--context", str(context), *options]
            os.execve(sys.executable, arguments, environment)
        self._seen = ""

    def until(self, text: str) -> str:
        """What is shown from the last call on, up to `text`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self._seen:
            ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited for {text!r}, saw {self._seen!r}"
            self._seen += os.read(self._end, 65_536).decode()
        shown, _, self._seen = self._seen.partition(text)
        return shown

    def type(self, text: str) -> None:
        """Type `text`."""
        os.write(self._end, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C once the command waits for a key: CPython notices one between the prompt and that wait only
        after the next line (`readline_until_enter_or_signal` in Modules/readline.c)."""
        process, deadline = psutil.Process(self._pid), time.monotonic() + DEADLINE_SECONDS
        # On macOS psutil says of every process that it runs.
        while sys.platform == "linux" and process.status() != psutil.STATUS_SLEEPING:
            assert time.monotonic() < deadline, process.status()
            time.sleep(0.001)
        self.type("\x03")

    def ended(self) -> int:
        """The exit code."""
        try:
            while os.read(self._end, 65_536):
                pass
        except OSError:  # the terminal is gone with its last process
            pass
        os.close(self._end)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def test_a_person_types_is_corrected_and_finds_it_again(context: Path, tmp_path: Path) -> None:
    terminal = _Terminal(context, tmp_path / "state")
    assert "store of machine desk; every read sees the last commit" in terminal.until("relm> ")
    terminal.type("select step\n")
    terminal.until("   ...> ")
    terminal.type("from events;\n")
    assert "weigh" in terminal.until("relm> ")
    terminal.type("delete from events;\n")
    assert "this prompt only reads" in terminal.until("relm> ")
    terminal.type("select nix\n")
    terminal.until("   ...> ")
    terminal.interrupt()
    terminal.until("relm> ")
    terminal.type("select 7 * 6 as answer;\n")
    assert "42" in terminal.until("relm> ")
    terminal.type("\x04")
    assert terminal.ended() == 0
    history = tmp_path / "state" / "relmachine" / "sql_history"
    assert "select 7 * 6 as answer;" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    again = _Terminal(context, tmp_path / "state", "--write")
    assert "Triggers" in again.until("relm (writes)> ")
    again.type("\x1b[A\n")  # arrow up
    assert "42" in again.until("relm (writes)> ")
    again.type(".quit\n")
    assert again.ended() == 0
