"""Running a node in the foreground: its settings, its log, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import typer
from rich.console import Console

from relmachine.cli.output import cell, table
from relmachine.cli.running import run

if TYPE_CHECKING:
    from relmachine.node.settings import Settings

_Result = TypeVar("_Result")


def settings(**given: object) -> Settings:
    """Settings of a node: what was given, else the RELM_ variables, else the defaults. A bad one is a usage error."""
    from pydantic import ValidationError

    from relmachine.node.settings import Settings

    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        from relmachine.kernel.problems import problems

        raise typer.BadParameter("; ".join(problems(error)), param_hint="options and RELM_ variables") from error


def serve(work: Callable[[], Coroutine[Any, Any, _Result]], *, log_level: int = logging.WARNING) -> _Result:
    """Run `work` with the node's log on stderr. Errors: `Interrupted`, and those of `work`."""
    _log_to_stderr(log_level)
    return run(work)


async def until_stopped(failed: Coroutine[Any, Any, None]) -> None:
    """Return at the first SIGINT or SIGTERM, so that the node closes in order; raise what `failed` raises."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    tasks = {asyncio.create_task(stopped.wait()), asyncio.create_task(failed)}
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.result()


def print_addresses(console: Console, addresses: dict[str, str]) -> None:
    """Where the node is reached."""
    made = table("what", "where")
    for name, address in addresses.items():
        made.add_row(name, cell(address))
    console.print(made)


class _Log:
    """Where stderr leads when it is written to. On a full disk lines are lost, and nothing else: what is logged are
    troubles, which must not end whoever goes on with them.
    """

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def _log_to_stderr(level: int) -> None:
    import structlog

    log = _Log()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(cast("TextIO", log)),
    )
