"""Goal: what is urgent goes before data that waits. Method: threads that queue up behind a held place."""

from __future__ import annotations

import threading

from relmachine.store.write_order import WriteOrder


def test_the_urgent_one_goes_first_though_it_came_last() -> None:
    order, done = WriteOrder(), list[str]()
    waiting = [threading.Event() for _ in range(9)]

    def ordinary(place: int) -> None:
        waiting[place].set()
        with order.ordinary():
            done.append("data")

    def urgent() -> None:
        waiting[8].set()
        with order.urgent():
            done.append("control")

    threads = [threading.Thread(target=ordinary, args=(place,)) for place in range(8)]
    last = threading.Thread(target=urgent)
    with order.ordinary():
        for thread in threads:
            thread.start()
        for event in waiting[:8]:
            assert event.wait(5)
        last.start()
        assert waiting[8].wait(5)
        while not order.urgent_waiting:
            threading.Event().wait(0.001)
    for thread in (*threads, last):
        thread.join(5)
    assert done == ["control", *["data"] * 8]
