"""What `relm demo` shows: the permit log, replayed, and one of its cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from relmachine.cli.demo import Shown, expected

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from relmachine.machine.machine import Machine
    from relmachine.node.node import Node


async def show(node: Node, machine: Machine, folder: Path, console: Console) -> Shown:
    """Replay the log through `node` and print what came of it."""
    from relmachine.cli.figures import figures_table
    from relmachine.cli.replay import through
    from relmachine.cli.thread import thread_view
    from relmachine.ingest.steps import survey

    replayed = await through(node, machine, survey(machine, folder / "receipt.xes.gz"))
    content = expected(folder)
    wanted = cast("Mapping[str, object]", content["figures"])
    view = await thread_view(node.store, str(content["sample"]))
    shown = Shown(replayed.as_json(), wanted, {"sample": view.as_json()})
    console.print("[bold]The receipt log, replayed[/]")
    console.print(figures_table(shown.figures, wanted))
    console.print("[bold]One of its cases[/]")
    view.print_on(console)
    return shown
