"""An export, read from a store as it is at one moment, whether its node runs or not."""

from __future__ import annotations

from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.replay.exported import ThreadExport
from relmachine.replay.recorded import Recorded, Room
from relmachine.store import reading
from relmachine.store.port import Reads, Stills

THREADS_MAX = 64
"""Threads of one export."""

# The store keeps one row for each pair of steps of an obstruction; pairs of one merge name the same threads.
_OTHERS = """
SELECT payload ->> '$.source' FROM controls WHERE thread = ?1 AND record IN ('_fork', '_merge')
UNION SELECT payload ->> '$.target' FROM controls WHERE thread = ?1 AND record = '_close'
UNION SELECT other FROM obstructions WHERE thread = ?1
UNION SELECT thread FROM obstructions WHERE other = ?1
"""


async def export(store: Reads, thread: str) -> ThreadExport:
    """The export of `thread`, with the threads it was forked from, merged with or merged into, and theirs.

    Errors: `not_found`; `limit_exceeded` for a family of more than `THREADS_MAX` threads, or more bytes than an export
    may have.
    """
    if isinstance(store, Stills):
        async with store.still() as resting:
            return await _export(resting, thread)
    return await _export(store, thread)


async def _export(store: Reads, thread: str) -> ThreadExport:
    await reading.resolve(store, thread)
    plan = await reading.declared(store)
    family, room = await _family(store, thread), Room(thread)
    parts = [await Recorded(store, name, room).read() for name in family]
    return ThreadExport(
        machine=plan.machine,
        machine_version=plan.version,
        laws_digest=plan.laws_digest,
        plan_digest=plan.digest,
        thread=thread,
        sections={name: (await reading.section(store, name)).section_digest for name in family},
        messages=tuple(sorted((one for part in parts for one in part.messages.values()), key=lambda one: one.sequence)),
        events=tuple(one for part in parts for one in part.events),
        runs=tuple(one for part in parts for one in part.runs),
        stops=tuple(one for part in parts for one in part.stops),
    )


async def _family(store: Reads, thread: str) -> list[str]:
    found, left = [thread], [thread]
    while left:
        for (other,) in (await store.select(_OTHERS, (left.pop(),))).rows:
            if other not in found:
                found.append(cast(str, other))
                left.append(cast(str, other))
        if len(found) > THREADS_MAX:
            sentence = f"thread {thread!r} is of one family with more than {THREADS_MAX} others: export one of those"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, thread=thread, threads_max=THREADS_MAX)
    return found
