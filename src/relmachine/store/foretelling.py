"""What an earlier store was told, told to this one: one text of SQL for every adapter.

A store that is built again from the stream has the effects of the one before it on the feed. They are written down
before its first turn; from there the schema's triggers let each take hold where its thread comes to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

import orjson

from relmachine.kernel.lane import Foretold
from relmachine.store.port import Reads, Store

FORETOLD_PER_CALL_MAX = 256
"""Effects in one call of `Store.foretell`."""

_GIVEN = f"""
SELECT {", ".join(f"value ->> {place} AS {name}" for place, name in enumerate(Foretold._fields))} FROM json_each(?)
"""
_WRITTEN = "thread, place, control_seq, record, step_key, at_seq, payload, evidence, outcome, refusal"
# What was said to a thread before it had a row is said again before it has one.
FORETELL = (
    f"INSERT INTO foretold ({_WRITTEN}) SELECT {_WRITTEN} FROM ({_GIVEN}) WHERE NOT begun ORDER BY thread, place",
    f"""
INSERT INTO threads (thread, label, head, epoch, seq, state)
SELECT DISTINCT a.thread, a.label, a.head, 0, 0, a.state FROM ({_GIVEN}) a
WHERE a.begun AND NOT EXISTS (SELECT 1 FROM threads t WHERE t.thread = a.thread)
""",
    f"INSERT INTO foretold ({_WRITTEN}) SELECT {_WRITTEN} FROM ({_GIVEN}) WHERE begun ORDER BY thread, place",
)
"""Each with the one parameter `parameter`, in this order, in one transaction. What is known already changes nothing."""

_MOVED = "SELECT EXISTS (SELECT 1 FROM threads WHERE seq > 0)"
_AHEAD = "SELECT thread, control_seq FROM foretold WHERE thread IN (SELECT value FROM json_each(?))"


def parameter(told: Sequence[Foretold]) -> str:
    """The parameter of each statement of `FORETELL`."""
    return orjson.dumps([tuple(one) for one in told]).decode()


async def has_moved(store: Store) -> bool:
    """Whether any thread was moved by a turn. Errors: `unreachable`."""
    return bool((await store.deciding(_MOVED))[0][0])


async def ahead(store: Reads, threads: Collection[str]) -> set[tuple[str, int]]:
    """Of these threads the records, by thread and control sequence, whose effect they have yet to come to."""
    rows = (await store.select(_AHEAD, (orjson.dumps(sorted(threads)).decode(),))).rows
    return {(cast(str, thread), cast(int, sequence)) for thread, sequence in rows}
