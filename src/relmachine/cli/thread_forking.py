"""`relm thread fork` and `relm thread merge`: records on the stream, over HTTP to the node of a context."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument
from relmachine.cli.records import IdOption, PrincipalOption, ask_node, details, print_applied


@command
def fork(
    thread: ThreadArgument,
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="HISTORY", help="A history the thread had, or a sequence; now if absent."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The new thread; made up from the history if absent.")
    ] = None,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Begin a new thread at a history that a thread had: both go on apart, and can be merged."""
    from relmachine.cli.addressing import running, thread_token
    from relmachine.cli.output import print_json

    node, token = running(context), thread_token(thread)
    members: dict[str, object] = {} if at is None else {"at": at}
    if name is not None:
        members["as"] = thread_token(name)
    answer = ask_node(node, f"/threads/{quote(token, safe='')}/forks", members, id, principal)
    if as_json:
        print_json(answer)
    else:
        print_applied(answer, f"{answer['thread']} forked from {token}, {details(answer)['events']} events,")


@command
def merge(
    thread: ThreadArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The thread that is merged into it, and closed.")],
    *,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Merge another thread into a thread: the one history that holds both. Exit 1 when something stands in the way."""
    from relmachine.cli.addressing import running, thread_token
    from relmachine.cli.output import print_json

    node, token, source = running(context), thread_token(thread), thread_token(other)
    answer = ask_node(node, f"/threads/{quote(token, safe='')}/merges", {"from": source}, id, principal)
    if as_json:
        print_json(answer)
        return
    done = details(answer)
    left_out = f", {done['left_out']} left out" if done["left_out"] else ""
    print_applied(answer, f"{source} merged into {token}, {done['events']} events{left_out},")
