"""`relm replay`: a whole log through a machine, and the figures that the store then gives."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import Exit, command, tell
from relmachine.cli.interrupt import resuming
from relmachine.cli.options import JsonOption, MachineArgument

if TYPE_CHECKING:
    from relmachine.cli.unmapped import Unmapped
    from relmachine.ingest.steps import Log
    from relmachine.machine.machine import Machine
    from relmachine.machine.plan import Plan
    from relmachine.node.context import Context
    from relmachine.node.log_replay import Replayed
    from relmachine.node.node import Node
    from relmachine.node.settings import Settings


@command
def replay(
    machine: MachineArgument,
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="XES or CloudEvents JSON lines, plain or gzip-compressed.")
    ],
    *,
    context: Annotated[
        Path | None,
        typer.Option(
            "--context",
            metavar="FOLDER",
            envvar="RELM_CONTEXT",
            help="Data folder of a running node to use, instead of one of its own.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FOLDER", help="Data folder of its own node, to keep. [default: a temporary one]"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Publish nothing when a line or trace can become no step.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay LOG through MACHINE and print its figures. Exit 1 when a line or trace can become no step."""
    from relmachine.cli.figures import figures_table
    from relmachine.cli.output import out, print_json
    from relmachine.cli.unmapped import print_unmapped
    from relmachine.ingest.steps import survey
    from relmachine.machine.loader import load, located

    if context is not None and data is not None:
        raise typer.BadParameter(
            "leave --context (or RELM_CONTEXT) out: --data has a node of its own", param_hint="--data"
        )
    declared = load(machine)
    surveyed = survey(declared, log)
    tell_faults(surveyed, as_json=as_json, strict=strict)
    replayed, activities = _replay(declared, located(machine), surveyed, context, data)
    if as_json:
        print_json(replayed.as_json())
    else:
        out().print(figures_table(replayed.as_json()))
        print_unmapped(out(), activities)
        out().print(_look(context or data), soft_wrap=True, markup=False)
    if surveyed.faulty:
        raise typer.Exit(Exit.FAILED)


def _look(folder: Path | None) -> str:
    if folder is None:
        return "its store is gone: with --data FOLDER it is kept, to look at afterwards"
    return f"look at it: relm thread list --context {folder}"


def tell_faults(log: Log, *, as_json: bool, strict: bool) -> None:
    """Name on stderr what can become no step, place by place; end the command there when it is to be strict."""
    from relmachine.errors import RelmError

    for fault in log.faults:
        error = fault.error
        tell(RelmError(error.code, f"{fault.where}: {error.sentence}", **error.witness), as_json=as_json)
    if log.faulty > len(log.faults):
        typer.echo(f"... and {log.faulty - len(log.faults)} more", err=True)
    if log.faulty and strict:
        raise typer.Exit(Exit.FAILED)


def _replay(
    machine: Machine, path: str, log: Log, context: Path | None, data: Path | None
) -> tuple[Replayed, Unmapped]:
    from relmachine.cli.serving import serve, settings

    if context is not None:
        with resuming(": decided steps are recognised"):
            return serve(lambda: _through_running(machine, log, context))
    if data is not None:
        kept = settings(data_dir=data, http=False)
        with resuming(": decided steps are recognised"):
            return serve(lambda: _through_own(machine, path, log, kept))
    with (
        resuming(", with --data FOLDER to keep what is decided"),
        tempfile.TemporaryDirectory(prefix="relm-replay-", ignore_cleanup_errors=True) as folder,
    ):
        temporary = settings(data_dir=folder, http=False)
        return serve(lambda: _through_own(machine, path, log, temporary))


async def _through_own(machine: Machine, path: str, log: Log, settings: Settings) -> tuple[Replayed, Unmapped]:
    """Through a node of this command's own, which ends afterwards."""
    from relmachine.cli.unmapped import unmapped
    from relmachine.node.node import Node

    async with Node.running(machine, settings, path) as node:
        return await through(node, machine, log), await unmapped(node.store)


async def through(node: Node, machine: Machine, log: Log) -> Replayed:
    """Through a node of this process, with progress on stderr."""
    from relmachine.cli.progress import replay_bars
    from relmachine.node.log_replay import Target, replay_log

    with replay_bars(log.steps) as progress:
        return await replay_log(Target(node.stream.publisher, node.store, node.pids()), machine, log, progress)


async def _through_running(machine: Machine, log: Log, folder: Path) -> tuple[Replayed, Unmapped]:
    """Through the node of another process: its stream is published to, its store's file is read."""
    from relmachine.cli.addressing import running
    from relmachine.cli.progress import replay_bars
    from relmachine.cli.unmapped import unmapped
    from relmachine.kernel.limits import Limits
    from relmachine.node.cpu import families
    from relmachine.node.log_replay import Target, replay_log
    from relmachine.stream.publisher import NatsPublisher
    from relmachine.stream.topology import topology

    node, plan = running(folder), machine.plan()
    _check_same(node, plan)
    async with node.reading() as store, AsyncExitStack() as stack:
        publisher = await NatsPublisher.start(node.nats_url, topology(plan), Limits())
        stack.push_async_callback(publisher.close)
        pids = families(pid for pid in (node.pid, node.nats_pid) if pid is not None)
        with replay_bars(log.steps) as progress:
            replayed = await replay_log(Target(publisher, store, pids), machine, log, progress)
        return replayed, await unmapped(store)


def _check_same(node: Context, plan: Plan) -> None:
    if node.laws_digest != plan.laws_digest:
        from relmachine.errors import Code, RelmError

        sentence = f"the node runs machine {node.machine!r} under other laws: replay with the machine that it runs"
        raise RelmError(Code.MACHINE_MISMATCH, sentence, node=node.laws_digest, machine=plan.laws_digest)
