"""`relm why`: how a claim of a thread stands, and whose steps it comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument

if TYPE_CHECKING:
    from rich.console import Console

    from relmachine.cli.standings import Standings
    from relmachine.store.reading import Reads, Why


@command
def why(
    thread: ThreadArgument,
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="A claim of the machine.")],
    *,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show how a claim stands in a thread and why: who asserted and contested it, and all it rests on."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json

    token = thread_token(thread)
    found, told = ask(context, lambda store: explained(store, token, claim))
    if as_json:
        print_json({**asdict(found), "superseded": dict(told.superseded)})
    else:
        print_why(out(), found, told)


async def explained(store: Reads, thread: str, claim: str) -> tuple[Why, Standings]:
    """The answer, and the same as lines of a table. Errors: `not_found`."""
    from relmachine.cli.standings import Standings, superseded
    from relmachine.store import reading

    found = await reading.why(store, thread, claim)
    return found, Standings((found.claim, *found.rests_on), await superseded(store, thread))


def print_why(console: Console, found: Why, told: Standings) -> None:
    """Print the claim, then what it rests on, nearest first."""
    from relmachine.cli.output import cell

    console.print(f"[bold]{found.claim.claim}[/] is {found.claim.standing} in {cell(found.thread)}", soft_wrap=True)
    console.print(told.table("The claim, and what it rests on"))
