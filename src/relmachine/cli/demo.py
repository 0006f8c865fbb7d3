"""`relm demo`: an example through a real node, every figure beside what it must be, and something to look at."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from relmachine.cli.failure import Exit, command
from relmachine.cli.options import JsonOption
from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from rich.console import Console

    from relmachine.machine.machine import Machine
    from relmachine.node.node import Node
    from relmachine.node.settings import Settings


@dataclass(frozen=True, slots=True)
class Shown:
    """What a demo found: its figures, what they must be, and what else there is to tell in JSON."""

    figures: Mapping[str, object]
    expected: Mapping[str, object]
    rest: Mapping[str, object]

    @property
    def matched(self) -> bool:
        """Whether every figure is as expected."""
        from relmachine.cli.figures import matches

        return matches(self.figures, self.expected)


Show = Callable[["Node", "Machine", Path, "Console"], Awaitable[Shown]]
"""Shows an example, whose folder is given, on a node that runs its machine."""


@command
def demo(
    *,
    agents: Annotated[
        bool, typer.Option("--agents", help="Three agents work an incident, instead of the permit log.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End by itself; exit 0 only when every figure matches.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Data folder to keep. [default: a temporary one]")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, envvar="RELM_HTTP_PORT", help="Port of HTTP; 0 takes a free one.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay the permit log, or let agents work; compare every figure; then serve until Ctrl-C."""
    from relmachine.cli import demo_agents, demo_permit
    from relmachine.cli.serving import serve, settings

    folder, show = _example("triage" if agents else "permit"), (demo_agents if agents else demo_permit).show
    with contextlib.ExitStack() as stack:
        if data is None:
            temporary = tempfile.TemporaryDirectory(prefix="relm-demo-", ignore_cleanup_errors=True)
            data = Path(stack.enter_context(temporary))
        given = settings(data_dir=data, http_port=port)
        matched = serve(lambda: _demonstrate(folder, show, given, once=once, as_json=as_json))
    if not matched:
        raise typer.Exit(Exit.FAILED)


def expected(folder: Path) -> Mapping[str, object]:
    """What the example says must come out."""
    import orjson

    return cast("dict[str, object]", orjson.loads((folder / "expected.json").read_bytes()))


def _example(name: str) -> Path:
    folder = Path(__file__).resolve().parents[3] / "examples" / name
    if not folder.is_dir():
        sentence = "run the demo from a clone of the repository: it has the example"
        raise RelmError(Code.NOT_FOUND, sentence, path=str(folder))
    return folder


async def _demonstrate(folder: Path, show: Show, settings: Settings, *, once: bool, as_json: bool) -> bool:
    """Whether every figure is as expected."""
    from relmachine.cli.output import out, print_json
    from relmachine.cli.serving import until_stopped
    from relmachine.machine.loader import load, located
    from relmachine.node.node import Node

    # The form whose Process steps compute, so that closures run too.
    file, console = folder / f"{folder.name}.py", out()
    machine = load(file)
    console.quiet = as_json
    async with Node.running(machine, settings, located(file)) as node:
        shown = await show(node, machine, folder, console)
        if as_json:
            told = {"ok": shown.matched, "figures": shown.figures, "expected": shown.expected}
            print_json({**told, **shown.rest, "addresses": node.addresses()})
        _conclude(console, node, matched=shown.matched, once=once)
        if not once:
            sys.stdout.flush()
            await until_stopped(node.failed())
    return shown.matched


def _conclude(console: Console, node: Node, *, matched: bool, once: bool) -> None:
    from relmachine.cli.serving import print_addresses

    if matched:
        console.print("[bold green]Every figure is as expected.[/]")
    else:
        console.print("[bold red]Not every figure is as expected.[/]")
    if not once:
        print_addresses(console, node.addresses())
        console.print(f"Ask it: relm thread list --context {node.settings.data_dir}", soft_wrap=True)
        console.print("Ctrl-C ends it.")
