"""Goal: every expected error ends a command with its exit code and says what to do, never with a traceback.

Method: a command that raises each code, run as Typer runs it.
"""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from relmachine.cli.failure import Exit, command, exit_of
from relmachine.cli.interrupt import resuming
from relmachine.cli.options import JsonOption
from relmachine.errors import Code, RelmError

app = typer.Typer()


@app.command()
@command
def give_up(code: str, as_json: JsonOption = False) -> None:
    if code == "absent":
        raise FileNotFoundError(2, "No such file", "/srv/x")
    if code == "os":
        raise PermissionError(13, "Permission denied", "/srv/x")
    if code == "file":
        raise FileExistsError(17, "File exists", "/srv/x")
    if code == "interrupt":
        raise KeyboardInterrupt
    if code == "hinted":
        with resuming(", with --id 9"):
            raise KeyboardInterrupt
    if code == "told":
        raise RelmError(Code.UNREACHABLE, "start it with `relm dev`")
    raise RelmError(Code(code), "turn [round] and go back", place="[here]", many=[1, 2])


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("code", Code)
def test_every_code_has_an_exit_code_that_says_it_was_not_ok(code: Code) -> None:
    result = _run(code)
    assert result.exit_code == exit_of(code) != Exit.OK
    assert f"{code}: turn [round] and go back" in result.stderr
    assert "place: [here]" in result.stderr
    assert "many: [1, 2]" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (Code.MACHINE_INVALID, 1),
        (Code.LOG_TRUNCATED, 1),
        (Code.ONCE, 1),
        (Code.QUERY_REFUSED, 2),
        (Code.NOT_FOUND, 3),
        (Code.UNREACHABLE, 4),
    ],
)
def test_exit_codes_are_those_documented(code: Code, exit_code: int) -> None:
    assert exit_of(code) == exit_code


def test_with_json_the_error_is_json() -> None:
    result = _run("once", "--json")
    witness = {"place": "[here]", "many": [1, 2]}
    expected = {"code": "once", "sentence": "turn [round] and go back", "witness": witness}
    assert json.loads(result.stderr) == {"error": expected}


def test_what_to_type_next_is_said_where_it_is_known() -> None:
    assert "next: relm thread show THREAD" in _run("requires").stderr
    assert "next:" not in _run("not_json").stderr
    assert "next:" not in _run("told").stderr


def test_a_file_that_may_not_be_read_is_an_expected_error_too() -> None:
    closed, absent = _run("os"), _run("absent")
    assert (closed.exit_code, "/srv/x: Permission denied" in closed.stderr) == (Exit.UNREACHABLE, True)
    assert (absent.exit_code, "/srv/x: No such file" in absent.stderr) == (Exit.NOT_FOUND, True)


def test_a_file_in_place_of_a_folder_is_told_as_such() -> None:
    result = _run("file")
    assert (result.exit_code, result.stderr) == (Exit.NOT_FOUND, "not_found: /srv/x is a file: name a folder\n")


def test_an_interrupt_is_one_line_and_130() -> None:
    plain, as_json, hinted = _run("interrupt"), _run("interrupt", "--json"), _run("hinted")
    assert [plain.exit_code, as_json.exit_code, hinted.exit_code] == [Exit.INTERRUPTED] * 3 == [130] * 3
    assert plain.stderr == "interrupted; run the same command again to go on\n"
    assert json.loads(as_json.stderr) == {"interrupted": plain.stderr.strip()}
    assert hinted.stderr == "interrupted; run the same command again to go on, with --id 9\n"


def test_a_bug_is_no_expected_error() -> None:
    assert isinstance(_run("no such code").exception, ValueError)
