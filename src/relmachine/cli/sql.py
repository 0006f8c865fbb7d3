"""`relm sql`: one reading query on the store, or a prompt for many."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption
from relmachine.store.rqlite.level import Level

if TYPE_CHECKING:
    from relmachine.store.admin import Admin


@command
def sql(
    query: Annotated[
        str | None, typer.Argument(metavar="[QUERY]", help="One SELECT. Without it a prompt opens.")
    ] = None,
    *,
    context: ContextOption = CONTEXT_DEFAULT,
    level: Annotated[
        Level | None, typer.Option("--level", help="How the prompt reads from servers. [default: linearizable]")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Let the prompt change rows, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run one SELECT on the store, within its limits of rows and seconds; without one, open a prompt.

    Statements may also come from a file or a pipe: the first that fails ends the command.
    """
    if query is None:
        from relmachine.cli.sql_prompt import Prompt

        with closing(_admin(context, level)) as admin:
            Prompt(admin, writes=write, as_json=as_json).run()
        return
    if write or level is not None:
        raise typer.BadParameter("--write and --level are for the prompt: leave QUERY out", param_hint="QUERY")
    from relmachine.cli.asking import ask
    from relmachine.cli.sql_result import print_rows

    print_rows(ask(context, lambda store: store.select(query)), as_json=as_json)


def _admin(folder: Path, level: Level | None) -> Admin:
    """The store of the node whose data folder is `folder`. Errors: `not_found`, `unreachable`."""
    from relmachine.kernel.limits import Limits
    from relmachine.node.context import Context

    found = Context.load(folder)
    if found.store_path is None:
        from relmachine.store.rqlite.admin import RqliteAdmin  # its client comes with the extra "cluster"

        return RqliteAdmin(found.store_urls, Limits(), level or Level.LINEARIZABLE)
    if level is not None:
        raise typer.BadParameter("this store is one file: every read sees the last commit", param_hint="--level")
    from relmachine.store.sqlite_admin import SqliteAdmin

    return SqliteAdmin(found.store_path, Limits())
