"""Asking a running node to fork, merge or resolve, and telling what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, cast

import typer

from relmachine.cli.interrupt import resuming
from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from relmachine.node.context import Context

SOURCE = "urn:relm:cli"

IdOption = Annotated[str | None, typer.Option("--id", help="Give one to be able to repeat safely; made up if absent.")]
PrincipalOption = Annotated[str | None, typer.Option("--principal", help="On whose behalf, for the policy.")]


def ask_node(
    node: Context, path: str, members: Mapping[str, object], id: str | None, principal: str | None
) -> dict[str, object]:
    """What the node at `path` says became of the record. Errors: the node's; `unreachable` while it is not decided."""
    from relmachine.cli.addressing import http_url
    from relmachine.cli.http import post
    from relmachine.machine.canonical import canonical

    key = id or uuid.uuid4().hex
    asked = {**members, "id": key, "source": SOURCE, **({} if principal is None else {"principal": principal})}
    with resuming(f", with --id {key}: a record is never taken twice"):
        answer = post(f"{http_url(node)}{path}", canonical(asked), "application/json")
    if answer.get("outcome") != "applied":
        sentence = f"the record is on the stream, but not decided yet: ask again with --id {key}"
        raise RelmError(Code.UNREACHABLE, sentence, sequence=answer.get("sequence"))
    return answer


def print_applied(answer: Mapping[str, object], sentence: str) -> None:
    """Print what was done, where, and what that settled or superseded."""
    from relmachine.cli.output import cell, out, rows_table

    again = "published before: nothing changed now, it was " if answer.get("repeated") else ""
    out().print(cell(f"{again}{sentence} at sequence {answer['sequence']}"), soft_wrap=True)
    out().print(f"history {answer['history']}", soft_wrap=True)
    transitions = cast(list[dict[str, object]], answer.get("transitions", []))
    if transitions:
        out().print(rows_table([{"claim": item["claim"], "kind": item["kind"]} for item in transitions]))


def details(answer: Mapping[str, object]) -> dict[str, object]:
    """What the record did, by the names that its outcome has for it."""
    return cast(dict[str, object], answer["details"])
