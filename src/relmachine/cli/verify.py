"""`relm verify`: every id and digest of a store, recomputed from its events."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from relmachine.cli.failure import Exit, command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption

if TYPE_CHECKING:
    from relmachine.store.port import Reads
    from relmachine.store.verify import Report
    from relmachine.store.verify.fault import Fault


@command
def verify(*, context: ContextOption = CONTEXT_DEFAULT, as_json: JsonOption = False) -> None:
    """Recompute every id and digest from the events, and look for every trigger. Exit 1 at the first difference."""
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json

    report = ask(context, _verified)
    if as_json:
        fault = None if report.fault is None else asdict(report.fault)
        print_json({"ok": report.ok, "counts": dict(report.counts), "fault": fault})
    elif report.fault is None:
        counted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(report.counts.items()))
        out().print(f"[green]ok[/]  {counted}", soft_wrap=True)
    else:
        _print_fault(report.fault)
    if not report.ok:
        raise typer.Exit(Exit.FAILED)


async def _verified(store: Reads) -> Report:
    from relmachine.store.verify import guards

    report = await _walked(store)
    return replace(report, fault=await guards(store)) if report.ok else report


async def _walked(store: Reads) -> Report:
    from relmachine.store.verify import verify as verify_store

    if not sys.stderr.isatty():
        return await verify_store(store)
    from rich.progress import Progress

    from relmachine.cli.output import errors

    with Progress(console=errors(), transient=True) as bars:
        bar = bars.add_task("verified", total=None)
        return await verify_store(store, lambda done, total: bars.update(bar, completed=done, total=total))


def _print_fault(fault: Fault) -> None:
    from relmachine.cli.output import cell, out

    at = f"thread {fault.thread}, sequence {fault.sequence}" if fault.thread else "the store"
    what = f", event {fault.event_id}" if fault.event_id else ""
    out().print(f"[bold red]differs[/]  {cell(at + what)}", soft_wrap=True)
    for name, value in (("what", fault.differs), ("stored", fault.stored), ("computed", fault.computed)):
        out().print(f"  {name:8}  {cell(value)}", soft_wrap=True)
    out().print("The first difference is shown; restore the store from a copy, or rebuild it from the stream.")
