"""How a command ends when it cannot give what was asked: what is wrong, what shows it, what to type, and a number."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec

import typer

from relmachine.cli.interrupt import tell_interrupted
from relmachine.errors import Code, RelmError

_P = ParamSpec("_P")


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    """By Ctrl-C or SIGTERM; 128 + SIGINT, as shells have it."""


_EXITS = {
    Code.NOT_FOUND: Exit.NOT_FOUND,
    Code.SERVER_MISSING: Exit.NOT_FOUND,
    Code.UNREACHABLE: Exit.UNREACHABLE,
    Code.OVERLOADED: Exit.UNREACHABLE,
    Code.QUERY_REFUSED: Exit.USAGE,
    Code.THREAD_NAME_INVALID: Exit.USAGE,
}
"""Exit code by error code; every other error means that something asked for was checked, and failed."""

_NEXT = {
    Code.MACHINE_INVALID: "relm check MACHINE",
    Code.STORE_MACHINE_MISMATCH: "relm dev MACHINE --data ANOTHER_FOLDER",
    Code.TOPOLOGY_MISMATCH: "relm dev MACHINE --data ANOTHER_FOLDER",
    Code.QUERY_REFUSED: 'relm sql "select name, sql from sqlite_schema"',
    Code.UNKNOWN_STEP: "relm check MACHINE",
    Code.REQUIRES: "relm thread show THREAD",
    Code.CONTEST_ABSENT: "relm thread show THREAD",
    Code.VETO_TOO_LATE: "relm thread show THREAD",
    Code.ONCE: "relm section THREAD",
    Code.LAW_BROKEN: "relm thread show THREAD",
}
"""What helps next, by code; a sentence that names a command already needs no other."""


def exit_of(code: Code) -> Exit:
    """The exit code of a command that ends with an error of this code."""
    return _EXITS.get(code, Exit.FAILED)


def command(run: Callable[_P, None]) -> Callable[_P, None]:
    """`run` with its expected errors printed on stderr, as JSON when it was called with `--json`, and its exit code.

    So is an interrupt: one line, and exit code 130.
    """

    @functools.wraps(run)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            run(*args, **kwargs)
        except RelmError as error:
            fail(error, as_json=as_json, during=run.__name__)
        except OSError as error:
            fail(_of_system(error), as_json=as_json)
        except KeyboardInterrupt as error:
            tell_interrupted(error, as_json=as_json)
            sys.exit(Exit.INTERRUPTED)

    return guarded


def _of_system(error: OSError) -> RelmError:
    absent = isinstance(error, FileNotFoundError | NotADirectoryError | FileExistsError)
    code = Code.NOT_FOUND if absent else Code.UNREACHABLE
    where = error.filename or "a file or address"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return RelmError(code, f"{where} is a file: name a folder")
    return RelmError(code, f"{where}: {error.strerror or error}: make it accessible, or name another")


def fail(error: RelmError, *, as_json: bool, during: str = "") -> None:
    """Print `error` and end the command called `during`. Never returns."""
    tell(error, as_json=as_json, during=during)
    raise typer.Exit(exit_of(error.code))


def tell(error: RelmError, *, as_json: bool, during: str = "") -> None:
    """Print code, sentence, witness, and what to type next unless it was just typed, on stderr."""
    from relmachine.cli.output import json_text

    if as_json:
        print(json_text({"error": error.as_json()}), file=sys.stderr)
        return
    from rich.text import Text

    from relmachine.cli.output import errors, witness_text

    errors().print(Text.assemble((str(error.code), "bold red"), ": ", error.sentence), soft_wrap=True)
    if error.witness:
        errors().print(Text(witness_text(error.witness), style="dim"), soft_wrap=True)
    following = _NEXT.get(error.code, "")
    if following and "relm " not in error.sentence and following.split()[1] != during:
        errors().print(Text.assemble("next: ", (following, "bold")), soft_wrap=True)
