"""How the command line as a whole ends: what makes no sense in it is told, as JSON to whoever asked for JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import typer
from typer.core import TyperGroup

from relmachine.cli.failure import Exit, tell
from relmachine.cli.interrupt import tell_interrupted
from relmachine.errors import Code, RelmError

_UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])
"""Base of all faults in a command line; Typer has no public name for it."""


class Commands(TyperGroup):
    """The commands of `relm`. With `--json` a usage error has the shape of every other error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """See `TyperGroup.main`."""
        given = sys.argv[1:] if args is None else list(args)
        as_json = "--json" in given
        try:
            ended = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
        except _UsageError as error:
            if as_json:
                tell(_problem(cast(typer.BadParameter, error)), as_json=True)
            else:
                cast(typer.BadParameter, error).show()
            ended = Exit.USAGE
        if ended == Exit.INTERRUPTED:  # before a command ran, which tells and exits by itself
            tell_interrupted(KeyboardInterrupt(), as_json=as_json)
        sys.exit(ended or Exit.OK)


def _problem(error: typer.BadParameter) -> RelmError:
    command = error.ctx.command_path if error.ctx else "relm"
    return RelmError(Code.QUERY_REFUSED, f"{error.format_message()} (see `{command} -h`)", command=command)
