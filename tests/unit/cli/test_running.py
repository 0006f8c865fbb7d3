"""Goal: a signal ends a command in order whenever it comes, and never leaves a coroutine behind.

Method: coroutines that send the signal to their own process, before, while and after they run.
"""

from __future__ import annotations

import asyncio
import gc
import signal

import pytest

from relmachine.cli import running
from relmachine.cli.interrupt import Interrupted
from relmachine.cli.running import run

SIGNALS = [signal.SIGINT, signal.SIGTERM]


class _Work:
    """A piece of work that sends itself a signal and says how far it came."""

    def __init__(self, number: signal.Signals) -> None:
        self.number, self.steps = number, list[str]()

    async def waiting(self) -> None:
        try:
            signal.raise_signal(self.number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.steps.append("closed")

    async def blocking(self) -> None:
        signal.raise_signal(self.number)
        self.steps.append("not torn apart")
        await asyncio.Event().wait()

    async def returning(self) -> str:
        return "done"


@pytest.mark.parametrize("number", SIGNALS)
def test_what_was_opened_is_closed(number: signal.Signals) -> None:
    work = _Work(number)
    with pytest.raises(Interrupted):
        run(work.waiting)
    assert work.steps == ["closed"]


@pytest.mark.parametrize("number", SIGNALS)
def test_code_that_does_not_wait_is_not_torn_apart(number: signal.Signals) -> None:
    work = _Work(number)
    with pytest.raises(Interrupted):
        run(work.blocking)
    assert work.steps == ["not torn apart"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_first_moment_leaves_no_coroutine_behind(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    real, work = running._loop_factory, _Work(number)

    def early() -> object:
        signal.raise_signal(number)
        return real()

    monkeypatch.setattr(running, "_loop_factory", early)
    with pytest.raises(Interrupted):
        run(work.waiting)
    gc.collect()  # a coroutine that was never awaited warns now, and a warning is an error
    assert work.steps == []


def test_the_result_comes_back_and_the_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    assert run(_Work(signal.SIGINT).returning) == "done"
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_cancellation_of_its_own_is_no_interrupt() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(cancelled)
