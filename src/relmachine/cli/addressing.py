"""From what people type to what is meant: threads by token or name, nodes by data folder."""

from __future__ import annotations

from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.kernel.thread_token import check_thread, encode_thread
from relmachine.node.context import Context


def thread_token(typed: str) -> str:
    """`typed` where it is a thread's token, else the token of a thread of that name.

    Errors: `thread_name_invalid` when it is empty or too long.
    """
    try:
        return check_thread(typed)
    except RelmError:
        return encode_thread(typed)


def running(folder: Path) -> Context:
    """The context of a node that runs. Errors: `not_found`, `unreachable`."""
    context = Context.load(folder)
    if not context.running:
        sentence = f"the node of {folder} does not run: start it with `relm dev MACHINE --data {folder}`"
        raise RelmError(Code.UNREACHABLE, sentence, machine=context.machine, context=str(folder))
    return context


def control_url(context: Context) -> str:
    """Where the node's control lane is served: by itself where it is. Errors: as of `http_url`."""
    return context.control_url or http_url(context)


def http_url(context: Context) -> str:
    """Where the node serves HTTP. Errors: `unreachable` when it does not."""
    if context.http_url is None:
        sentence = "the node runs without HTTP: start it with RELM_HTTP=true"
        raise RelmError(Code.UNREACHABLE, sentence, machine=context.machine)
    return context.http_url
