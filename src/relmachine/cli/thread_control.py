"""`relm thread cancel|pause|resume|close|budget`: what a thread is told ahead of its steps, over HTTP to its node."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument
from relmachine.cli.records import SOURCE, IdOption, PrincipalOption

_DEFAULT_REASON = "asked for at the command line"
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for whoever reads it later.")]


@command
def cancel(
    thread: ThreadArgument,
    *,
    reason: ReasonOption = _DEFAULT_REASON,
    request: Annotated[
        int | None, typer.Option("--request", metavar="N", help="End only the run of the step at this sequence.")
    ] = None,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Cancel a thread, for good: no commit changes its history any more, and its running model calls end."""
    _tell(thread, "cancel", {"reason": reason, "request": request}, id, principal, context, as_json=as_json)


@command
def pause(
    thread: ThreadArgument,
    *,
    reason: ReasonOption = _DEFAULT_REASON,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Let a thread's steps wait until it is resumed. What is published meanwhile is kept."""
    _tell(thread, "pause", {"reason": reason}, id, principal, context, as_json=as_json)


@command
def resume(
    thread: ThreadArgument,
    *,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Let a paused thread go on."""
    _tell(thread, "resume", {}, id, principal, context, as_json=as_json)


@command
def close(
    thread: ThreadArgument,
    *,
    reason: ReasonOption = _DEFAULT_REASON,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Close a thread, for good: it takes no more steps, and its history stays."""
    _tell(thread, "close", {"reason": reason}, id, principal, context, as_json=as_json)


@command
def budget(
    thread: ThreadArgument,
    *,
    tokens: Annotated[int | None, typer.Option("--tokens", help="Model tokens.")] = None,
    cost: Annotated[float | None, typer.Option("--cost", help="In the currency of the model's prices.")] = None,
    wall_seconds: Annotated[float | None, typer.Option("--wall-seconds", help="Seconds that runs take.")] = None,
    solver_seconds: Annotated[
        float | None, typer.Option("--solver-seconds", help="Seconds of tools that answer from the machine.")
    ] = None,
    tool_calls: Annotated[int | None, typer.Option("--tool-calls", help="Calls of tools.")] = None,
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Say what the runs of a thread may still spend from now on. What is not named has no bound."""
    seconds = {"wall_seconds": wall_seconds, "solver_seconds": solver_seconds}
    members = {"tokens": tokens, "cost": cost, **seconds, "tool_calls": tool_calls}
    _tell(thread, "budget", members, id, principal, context, as_json=as_json)


def _tell(
    thread: str,
    record: str,
    members: Mapping[str, object],
    id: str | None,
    principal: str | None,
    context: Path,
    *,
    as_json: bool,
) -> None:
    """Errors: the node's own; `unreachable` when it did not take hold within the wait."""
    from relmachine.cli.addressing import control_url, running, thread_token
    from relmachine.cli.http import post
    from relmachine.cli.interrupt import resuming
    from relmachine.cli.output import cell, out, print_json
    from relmachine.errors import Code, RelmError
    from relmachine.machine.canonical import canonical

    node, token, key = running(context), thread_token(thread), id or uuid.uuid4().hex
    given = {name: value for name, value in members.items() if value is not None}
    asked = {**given, "record": record, "id": key, "source": SOURCE}
    if principal is not None:
        asked["principal"] = principal
    with resuming(f", with --id {key}: it never takes hold twice"):
        path = f"/threads/{quote(token, safe='')}/control"
        answer = post(f"{control_url(node)}{path}", canonical(asked), "application/json")
    if "outcome" not in answer:
        sentence = f"it is on its way, and has not taken hold yet: ask again with --id {key}"
        raise RelmError(Code.UNREACHABLE, sentence, sequence=answer.get("sequence"))
    if as_json:
        print_json(answer)
        return
    again = "said before: " if answer["repeated"] else ""
    where = f"sequence {answer['at_sequence']}, epoch {answer['epoch']}"
    out().print(
        cell(f"{again}{record} of {token} {answer['outcome']} at {where}: {answer['sentence']}"), soft_wrap=True
    )
    out().print(f"history {answer['at_history']}", soft_wrap=True)
