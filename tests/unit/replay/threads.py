"""A hundred threads of one machine: forked, merged, overtaken, aborted, stopped, contested, left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

from relmachine.machine import Machine
from relmachine.replay.exported import ThreadExport
from relmachine.replay.exporting import export
from relmachine.store.sqlite import SqliteStore
from tests.unit.replay.living import Living

THREADS = 100


async def hundred(shop: Living) -> list[str]:
    """Let them live; returns their names."""
    plain = [f"t{number}" for number in range(THREADS - 20)]
    for number, thread in enumerate(plain):
        shop.step(thread, "observe", symptom=f"slow {number % 7}")
        for step in [["propose"], ["route", "count"], ["ask", "judge"], ["count", "propose"]][number % 4]:
            shop.step(thread, step)
    await shop.settle()
    for number, thread in enumerate(plain):
        if number % 5 == 0:  # it is found out before the run begins
            shop.step(thread, "observe", symptom="later")
    await shop.settle()
    late = await shop.answers()
    for number, thread in enumerate(plain):
        if number % 5 == 1:  # it is found out when the answer comes
            shop.step(thread, "observe", symptom="much later")
    await shop.publish(late)
    for number, thread in enumerate(plain):
        if number % 8 == 2:
            shop.step(thread, "propose", key="twice")
            shop.step(thread, "propose", key="twice")
            shop.step(thread, "confirm", unknown=1)
        if number % 8 == 3:
            shop.step(thread, "observe", symptom="endless")
            shop.step(thread, "judge", service="web")
    await shop.live()
    for number, thread in enumerate(plain):
        if number % 6 == 4:
            shop.step(thread, "retract")
            shop.step(thread, "propose")
            shop.step(thread, "note", text="at the end")
    await shop.live()
    return [*plain, *await _families(shop), *await _stopped(shop)]


async def _families(shop: Living) -> list[str]:
    """Five threads with a fork each: two are merged at once, one once an obstruction is resolved, two stay apart."""
    names = [f"{kind}{number}" for number in range(5) for kind in ("root", "fork")]
    for number in range(5):
        shop.step(f"root{number}", "observe", symptom="slow")
    await shop.live()
    for number in range(5):
        root, fork = f"root{number}", f"fork{number}"
        (last,) = shop.stream.threads[root]
        shop.fork(fork, root, await shop.head(root), last.sequence)
        shop.step(fork, "ask")
        shop.step(root, "count")
        if number in (2, 3):
            shop.step(fork, "propose")
            shop.step(root, "propose")
    await shop.live()
    for number in (0, 1, 2):
        shop.merge(f"root{number}", f"fork{number}")
    await shop.live()
    for (obstruction,) in (await shop.store.select("SELECT obstruction_id FROM obstructions")).rows:
        shop.resolve("root2", str(obstruction), "root2")
    shop.merge("root2", "fork2")
    shop.step("root2", "note", text="together")
    await shop.live()
    return names


async def _stopped(shop: Living) -> list[str]:
    """Ten threads that are cancelled or closed: before the answer of a run comes, or when all is quiet."""
    names = [f"stopped{number}" for number in range(10)]
    for thread in names:
        shop.step(thread, "observe", symptom="slow")
        shop.step(thread, "ask")
    await shop.settle()
    answers = await shop.answers()
    for number, thread in enumerate(names):
        if number % 2:
            await shop.stop(thread, "cancel" if number % 4 == 1 else "close")
    await shop.publish(answers)
    for thread in names:
        shop.step(thread, "note", text="too late for some")
    await shop.live()
    await shop.stop(names[0], "close")
    return names


def lived(machine: Machine, folder: Path) -> list[ThreadExport]:
    """The exports of all hundred."""

    async def run() -> list[ThreadExport]:
        store = SqliteStore.open(folder / "store.db", machine.plan())
        try:
            shop = Living(machine.plan(), store)
            names = await hundred(shop)
            assert (await store.select("SELECT count(*) FROM threads")).rows == ((THREADS,),)
            found = [await export(store, name) for name in names]
            await shop.carrier.close()
            return found
        finally:
            await store.close()

    return asyncio.run(run())
