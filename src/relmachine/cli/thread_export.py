"""`relm thread export`: a thread in a file, to replay it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument


@command
def export(
    thread: ThreadArgument,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it. [default: standard output]")
    ] = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Export a thread with its family, from a store whose node runs or not: `relm replay-thread --file` takes it."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import cell, print_json
    from relmachine.cli.output import out as console
    from relmachine.replay.exporting import export as exported

    token = thread_token(thread)
    found = ask(context, lambda store: exported(store, token))
    if out is None:
        print(found.text(), end="")
        return
    found.save(out)
    counts = {
        "threads": len(found.sections),
        "messages": len(found.messages),
        "events": len(found.events),
        "runs": len(found.runs),
    }
    if as_json:
        print_json({"thread": token, "file": str(out), **counts})
        return
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    console().print(cell(f"{token}: {told} in {out}; next: relm replay-thread {token} --file {out}"), soft_wrap=True)
