"""`relm demo`: the permit log through a real node, every figure beside what it must be, and a case to look at."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from relmachine.cli.failure import Exit, command
from relmachine.cli.options import JsonOption
from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relmachine.cli.thread import ThreadView
    from relmachine.node.node import Node
    from relmachine.node.replay import Replayed
    from relmachine.node.settings import Settings


@command
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End by itself; exit 0 only when every figure matches.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Data folder to keep. [default: a temporary one]")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, envvar="RELM_HTTP_PORT", help="Port of HTTP; 0 takes a free one.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay the permit log, compare every figure, show a case; then serve until Ctrl-C."""
    from relmachine.cli.serving import serve, settings

    folder = _permit_folder()
    with contextlib.ExitStack() as stack:
        if data is None:
            temporary = tempfile.TemporaryDirectory(prefix="relm-demo-", ignore_cleanup_errors=True)
            data = Path(stack.enter_context(temporary))
        given = settings(data_dir=data, http_port=port)
        matched = serve(lambda: _demonstrate(folder, given, once=once, as_json=as_json))
    if not matched:
        raise typer.Exit(Exit.FAILED)


def _permit_folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "examples" / "permit"
    if not folder.is_dir():
        raise RelmError(Code.NOT_FOUND, "run the demo from a clone of the repository: it has the log", path=str(folder))
    return folder


async def _demonstrate(folder: Path, settings: Settings, *, once: bool, as_json: bool) -> bool:
    """Whether every figure is as expected."""
    from relmachine.cli.figures import matches
    from relmachine.cli.replay import through
    from relmachine.cli.serving import until_stopped
    from relmachine.cli.thread import thread_view
    from relmachine.ingest.steps import survey
    from relmachine.machine.loader import load, located
    from relmachine.node.node import Node

    file = folder / "permit.py"  # the form whose Process steps compute, so that closures run too
    machine = load(file)
    log = survey(machine, folder / "receipt.xes.gz")
    expected, sample = _expected(folder)
    async with Node.running(machine, settings, located(file)) as node:
        replayed = await through(node, machine, log)
        matched = matches(replayed.figures, expected)
        view = await thread_view(node.store, sample)
        if as_json:
            _print_json(node, replayed, expected, view)
        else:
            _print(node, replayed, expected, view, once=once)
        if not once:
            sys.stdout.flush()
            await until_stopped(node.failed())
    return matched


def _expected(folder: Path) -> tuple[Mapping[str, object], str]:
    """The figures that the log must give, and the case to show."""
    import orjson

    content = cast(dict[str, object], orjson.loads((folder / "expected.json").read_bytes()))
    return cast(dict[str, object], content["figures"]), str(content["sample"])


def _print_json(node: Node, replayed: Replayed, expected: Mapping[str, object], view: ThreadView) -> None:
    from relmachine.cli.figures import matches
    from relmachine.cli.output import print_json

    print_json(
        {
            "ok": matches(replayed.figures, expected),
            "figures": replayed.as_json(),
            "expected": expected,
            "sample": view.as_json(),
            "addresses": node.addresses(),
        }
    )


def _print(node: Node, replayed: Replayed, expected: Mapping[str, object], view: ThreadView, *, once: bool) -> None:
    from relmachine.cli.figures import figures_table, matches
    from relmachine.cli.output import out
    from relmachine.cli.serving import print_addresses

    console = out()
    console.print("[bold]The receipt log, replayed[/]")
    console.print(figures_table(replayed.as_json(), expected))
    console.print("[bold]One of its cases[/]")
    view.print_on(console)
    if matches(replayed.figures, expected):
        console.print("[bold green]Every figure is as expected.[/]")
    else:
        console.print("[bold red]Not every figure is as expected.[/]")
    if not once:
        print_addresses(console, node.addresses())
        console.print(f"Ask it: relm thread list --context {node.settings.data_dir}", soft_wrap=True)
        console.print("Ctrl-C ends it.")
