"""Where a thread comes from and where it went: forks, merges and closings, as people and agents read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.identity import id_of
from relmachine.kernel.control import CLOSE, FORK, MERGE
from relmachine.store.port import Reads

# The records of a thread, with how many events each brought, and the thread's genesis.
_RECORDS = """
SELECT k.seq, k.record, k.payload, k.evidence ->> '$.principal',
  (SELECT count(*) FROM thread_events te WHERE te.thread = k.thread AND te.seq = k.seq),
  (SELECT t.state ->> '$.genesis' FROM threads t WHERE t.thread = k.thread)
FROM controls k WHERE k.thread = ? ORDER BY k.seq
"""
# A fork goes back to its source, and that to its own; the first that is no fork is the root.
_ROOT = """
WITH RECURSIVE line (thread, far) AS (
  SELECT ?, 0
  UNION ALL
  SELECT k.payload ->> '$.source', line.far + 1 FROM line
  JOIN controls k ON k.thread = line.thread AND k.record = '_fork'
)
SELECT thread FROM line ORDER BY far DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Forked:
    """How a thread began: it goes on from history `at`, which `source` had at `at_sequence`."""

    source: str
    at: str
    at_sequence: int
    sequence: int
    events: int
    principal: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What a thread took over from `source`, at `sequence`."""

    source: str
    sequence: int
    events: int
    principal: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The thread that this one was merged into; it takes no steps since `sequence`."""

    into: str
    sequence: int
    principal: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """`root` is the thread that all of a family go back to, the thread itself when it is no fork."""

    root: str
    forked: Forked | None
    merged: tuple[Merged, ...]
    closed: Closed | None


async def lineage(store: Reads, thread: str) -> Lineage:
    """Where `thread` comes from and where it went."""
    forked: Forked | None = None
    merged: list[Merged] = []
    closed: Closed | None = None
    for row in (await store.select(_RECORDS, (thread,))).rows:
        sequence, record, text, principal, events, genesis = cast("tuple[int, str, str, str, int, str]", row)
        payload = cast("dict[str, str]", orjson.loads(text))
        if record == FORK:
            at_sequence = cast(int, cast(object, payload["at_sequence"]))
            at = id_of(genesis, payload["at"])
            forked = Forked(payload["source"], at, at_sequence, sequence, events, principal)
        elif record == MERGE:
            merged.append(Merged(payload["source"], sequence, events, principal))
        elif record == CLOSE:
            closed = Closed(payload["target"], sequence, principal)
    root = cast(str, (await store.select(_ROOT, (thread,))).rows[0][0])
    return Lineage(root, forked, tuple(merged), closed)
