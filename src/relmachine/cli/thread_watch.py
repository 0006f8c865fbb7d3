"""`relm thread watch`: what nodes tell of a thread, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    from relmachine.node.context import Context


@command
def watch(thread: ThreadArgument, *, context: ContextOption = CONTEXT_DEFAULT, as_json: JsonOption = False) -> None:
    """Print how a thread goes on, as it comes, until interrupted: its turns, its runs, its control records."""
    from relmachine.cli.addressing import running, thread_token
    from relmachine.cli.running import run

    node, token = running(context), thread_token(thread)
    run(lambda: watched(node, token, _print_json if as_json else _print))


async def watched(node: Context, thread: str, show: Callable[[bytes], None]) -> None:
    """Hand what is told of `thread` to `show`, for ever. Errors: `unreachable`."""
    from relmachine.stream.connecting import connect
    from relmachine.stream.telemetry import TelemetryLine
    from relmachine.stream.topology import Topology

    connection = await connect(node.nats_url, name="relm thread watch")
    try:
        async with TelemetryLine(connection, Topology(node.machine, {})).watch(thread) as bodies:
            async for body in bodies:
                show(body)
    finally:
        await connection.close()


def _print_json(body: bytes) -> None:
    print(body.decode("utf-8", "replace"), flush=True)


def _print(body: bytes) -> None:
    from relmachine.cli.output import cell, out

    out().print(cell(line(body)), soft_wrap=True)


def line(body: bytes) -> str:
    """The message in a line: when, what, and its facts. What no node sends is shown as it is."""
    import orjson

    try:
        told: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
    if not isinstance(told, dict):
        return body.decode("utf-8", "replace")
    members = cast("dict[str, object]", told)
    at, kind = str(members.pop("at", "")), str(members.pop("kind", ""))
    members.pop("thread", None)
    facts = ", ".join(f"{name} {value}" for name, value in members.items())
    return f"{at[11:23]}  {kind.replace('_', ' ')}  {facts}".rstrip()
