"""Goal: no data begins to be written while somebody urgent is on the way. Method: threads that write data beside one,
or two at a time, that are urgent.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from relmachine.store import write_order
from relmachine.store.write_order import WriteOrder


def test_data_waits_until_everybody_urgent_is_through() -> None:
    order, begun = WriteOrder(), threading.Semaphore(0)

    def write() -> None:
        order.give_way()
        begun.release()

    first, second = ExitStack(), ExitStack()
    assert not order.expected()
    order.give_way()
    first.enter_context(order.urgent())
    second.enter_context(order.urgent())
    writers = [threading.Thread(target=write) for _ in range(8)]
    for thread in writers:
        thread.start()
    first.close()
    assert order.expected()
    assert not begun.acquire(timeout=0.05), "the other is still on the way"
    second.close()
    for thread in writers:
        thread.join(5)
    assert all(begun.acquire(timeout=5) for _ in writers)
    assert not order.expected()


def test_who_is_urgent_at_once_behind_another_is_for_the_next_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_order, "GIVE_WAY_SECONDS_MAX", 60.0)
    order, begun = WriteOrder(), threading.Event()
    urgent = ExitStack()
    urgent.enter_context(order.urgent())
    writer = threading.Thread(target=lambda: (order.give_way(), begun.set()))
    writer.start()
    while not order._free._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.001)
    with order._free:  # nobody wakes in between
        urgent.close()
        urgent.enter_context(order.urgent())
    assert begun.wait(5)
    urgent.close()
    writer.join(5)


def test_data_does_not_wait_for_one_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_order, "GIVE_WAY_SECONDS_MAX", 0.05)
    order = WriteOrder()
    with order.urgent():
        order.give_way()
        assert order.expected()
