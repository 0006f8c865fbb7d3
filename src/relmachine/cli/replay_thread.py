"""`relm replay-thread`: a thread decided again from what was published on it, and compared with what is recorded."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import Exit, command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument

if TYPE_CHECKING:
    from rich.table import Table

    from relmachine.machine import Machine
    from relmachine.replay.difference import Replay
    from relmachine.replay.exported import ThreadExport

ROWS_MAX = 20
"""Differences that people are shown; programs get all."""

_TEXT_MAX = 60
"""Characters of either side of a difference that people are shown."""


class How(StrEnum):
    """The modes of a replay (`engine.runs.port.Mode`)."""

    PLAYBACK = "playback"
    RESIMULATE = "resimulate"


@command
def replay_thread(
    thread: ThreadArgument,
    *,
    mode: Annotated[How, typer.Option("--mode", help="Ask nobody, or ask models and tools again.")] = How.PLAYBACK,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="EXPORT", help="What `relm thread export` wrote, instead of a store."),
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="MACHINE", help="The machine. [default: the node's]")
    ] = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Decide a thread again and compare events, histories, sections and runs. Exit 1 when something differs."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.output import cell, errors, out, print_json

    export = _export(thread_token(thread), file, context)
    loaded = _load(machine or _machine(context))
    if mode is How.RESIMULATE and (tools := _tools(loaded, export)):
        named = ", ".join(tools)
        errors().print(
            cell(f"models are asked again, and tools called: what {named} do, they do again"), soft_wrap=True
        )
    found = _replayed(loaded, export, mode)
    if as_json:
        told = {"thread": export.thread, **asdict(found), "identical": found.identical}
        print_json(told)
    elif found.identical:
        counts = f"{found.events} events, {found.runs} runs, {found.decisions} decisions"
        out().print(cell(f"{export.thread}: identical ({found.mode}: {counts})"), soft_wrap=True)
    else:
        out().print(differences_table(found))
        for line in advice(found):
            out().print(cell(line), soft_wrap=True)
    if not found.identical:
        raise typer.Exit(Exit.FAILED)


def differences_table(found: Replay) -> Table:
    """The first differences, one a row."""
    from relmachine.cli.output import cell, table

    made = table("thread", "#sequence", "#attempt", "#place", "what", "recorded", "found", title="Differences")
    for one in found.differences[:ROWS_MAX]:
        where = (one.sequence, one.attempt or None, one.place)
        made.add_row(
            cell(one.thread), *(cell(item) for item in where), one.what, cell(_cut(one.recorded)), cell(_cut(one.found))
        )
    return made


def advice(found: Replay) -> list[str]:
    """What to do next, with how many differences are not shown."""
    first, left = found.differences[0], len(found.differences) - ROWS_MAX
    more = [f"... and {left} more: --json has all"] if left > 0 else []
    where = f"thread {first.thread} at sequence {first.sequence}"
    if not first.attempt:
        return [*more, f"next: look at {where}: relm thread show {first.thread}; was the machine changed since?"]
    return [*more, f"next: look at {where}: relm thread runs {first.thread} --request {first.sequence}"]


def _export(thread: str, file: Path | None, context: Path) -> ThreadExport:
    """Errors: `not_found` when the file is of another thread."""
    if file is None:
        from relmachine.cli.asking import ask
        from relmachine.replay.exporting import export

        return ask(context, lambda store: export(store, thread))
    from relmachine.errors import Code, RelmError
    from relmachine.replay.exported import ThreadExport

    found = ThreadExport.load(file)
    if thread not in found.sections:
        sentence = f"this file has no thread {thread!r}: it was exported as {found.thread!r}"
        raise RelmError(Code.NOT_FOUND, sentence, path=str(file), threads=sorted(found.sections))
    return found


def _machine(context: Path) -> str:
    """What the node of the context was started with. Errors: `not_found`."""
    from relmachine.errors import Code, RelmError
    from relmachine.node.context import Context

    known = Context.load(context).machine_path
    if known is None:
        sentence = "the node was started from Python, so its machine has no file here: name one with --machine"
        raise RelmError(Code.NOT_FOUND, sentence, context=str(context))
    return known


def _load(path: str) -> Machine:
    from relmachine.machine.loader import load

    return load(path)


def _tools(machine: Machine, export: ThreadExport) -> list[str]:
    """The tools of the author's that steps may call whose runs are in the export."""
    steps = (machine.declaration.steps.get(name) for name in {run.step for run in export.runs})
    return sorted({tool.name for step in steps if step is not None and step.run is not None for tool in step.run.tools})


def _replayed(machine: Machine, export: ThreadExport, mode: How) -> Replay:
    from relmachine.cli.running import run
    from relmachine.cli.serving import settings
    from relmachine.replay.replayer import Replayer

    given = settings()
    replayer = Replayer(machine, limits=given.limits, models=given.node_models)
    return run(lambda: replayer.replay(export, mode))


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"
