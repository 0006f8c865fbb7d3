"""Running a command's coroutine so that Ctrl-C and SIGTERM end it in order, at whatever moment they come."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, TypeVar

from relmachine.cli.interrupt import Interrupted

_Result = TypeVar("_Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """The result of `work()`, on the fastest loop there is. A signal cancels it, and again while it closes.

    Raises `Interrupted` once everything that `work` opened is closed. A signal is noted from the first moment, so none
    falls between making the coroutine and running it.
    """
    noted: list[int] = []
    with _noting(noted), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_cancellable(work, noted))
        except asyncio.CancelledError:
            if noted:
                raise Interrupted from None
            raise


async def _cancellable(work: Callable[[], Coroutine[Any, Any, _Result]], noted: list[int]) -> _Result:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def stop(number: int) -> None:
        noted.append(number)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    if noted:
        raise asyncio.CancelledError
    return await work()


@contextlib.contextmanager
def _noting(noted: list[int]) -> Generator[None]:
    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
