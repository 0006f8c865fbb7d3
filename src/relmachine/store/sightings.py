"""The events of a thread as laws of the author's own may see them: who published them and what they wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import orjson

from relmachine.gates.own_law_scene import Sighting
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.store.deciding import asked
from relmachine.store.port import Reads, Store

_SEEN = """
SELECT e.step, e.event_id, te.evidence,
  (SELECT json_group_array(json_array(c.field, c.value)) FROM event_contributions c
    WHERE c.event = e.number AND c.field IN (SELECT value FROM json_each(?3)))
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ?1 AND e.step IN (SELECT value FROM json_each(?2)) AND te.seq <= ?5
ORDER BY te.seq, te.place LIMIT ?4
"""

_LAST = 2**63 - 1
"""Later than any sequence."""


async def sightings(
    store: Store, thread: str, steps: Sequence[str], fields: Sequence[str], limit: int
) -> list[Sighting]:
    """The first `limit` events of the types `steps`, in subject order, with what they wrote to `fields`."""
    return _read(await store.deciding(_SEEN, (thread, asked(steps), asked(fields), limit, _LAST)))


async def sightings_up_to(
    store: Reads, thread: str, sequence: int, steps: Sequence[str], fields: Sequence[str], limit: int
) -> list[Sighting]:
    """The same of the thread as it was after `sequence`, to look at."""
    return _read((await store.select(_SEEN, (thread, asked(steps), asked(fields), limit, sequence))).rows)


def _read(rows: Iterable[tuple[object, ...]]) -> list[Sighting]:
    return [
        sighting(step, event, evidence, [(name, value) for name, value in orjson.loads(written)])
        for step, event, evidence, written in cast("Iterable[tuple[str, str, str, str]]", rows)
    ]


def sighting(step: str, event: str, evidence: str, written: Iterable[tuple[str, str]]) -> Sighting:
    """An event with the `evidence` of its place in a thread (JSON), which names the principal."""
    principal = cast("dict[str, str]", orjson.loads(evidence)).get("principal", ANONYMOUS)
    return Sighting(step, event, principal, tuple(sorted(written)))
