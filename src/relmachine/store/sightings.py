"""The events of a thread as laws of the author's own may see them: who published them and what they wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import orjson

from relmachine.gates.own_law_past import Past, reach
from relmachine.gates.own_law_scene import Sighting
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.deciding import asked
from relmachine.store.port import Reads, Store

_SEEN = """
WITH seen AS (
  SELECT e.step, e.event_id, e.number, te.evidence, te.seq, te.place,
    COALESCE(length(te.evidence ->> '$.principal'), 0) + COALESCE((SELECT sum(length(c.value))
      FROM event_contributions c
      WHERE c.event = e.number AND c.field IN (SELECT value FROM json_each(?3))), 0) AS size
  FROM thread_events te JOIN events e ON e.event_id = te.event_id
  WHERE te.thread = ?1 AND e.step IN (SELECT value FROM json_each(?2)) AND te.seq <= ?6
), counted AS (
  SELECT *, row_number() OVER (PARTITION BY step ORDER BY seq, place) AS nth,
    sum(size) OVER (PARTITION BY step ORDER BY seq, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
  FROM seen
)
SELECT step, event_id, evidence,
  (SELECT json_group_array(json_array(c.field, c.value)) FROM event_contributions c
    WHERE c.event = number AND c.field IN (SELECT value FROM json_each(?3)))
FROM counted WHERE nth <= ?4 + 1 AND COALESCE(earlier, 0) <= ?5
ORDER BY seq, place
"""
"""Of each step type as many events as `Past` keeps."""


async def past(store: Store, plan: Plan, limits: Limits, thread: str, sequence: int) -> Past:
    """What laws see of the thread as it was after `sequence`."""
    return _past(plan, limits, await store.deciding(_SEEN, _asked(plan, limits, thread, sequence)))


async def past_read(store: Reads, plan: Plan, limits: Limits, thread: str, sequence: int) -> Past:
    """The same to look at, of a store that decides nothing."""
    return _past(plan, limits, (await store.select(_SEEN, _asked(plan, limits, thread, sequence))).rows)


def _asked(plan: Plan, limits: Limits, thread: str, sequence: int) -> tuple[str | int, ...]:
    seen = reach(plan)
    bounds = limits.own_law_facts_max, limits.own_law_facts_bytes_max
    return thread, asked(sorted(seen.steps)), asked(sorted(seen.fields)), *bounds, sequence


def _past(plan: Plan, limits: Limits, rows: Iterable[tuple[object, ...]]) -> Past:
    return Past(
        plan,
        limits,
        (
            sighting(step, event, evidence, [(name, value) for name, value in orjson.loads(written)])
            for step, event, evidence, written in cast("Iterable[tuple[str, str, str, str]]", rows)
        ),
    )


def sighting(step: str, event: str, evidence: str, written: Iterable[tuple[str, str]]) -> Sighting:
    """An event with the `evidence` of its place in a thread (JSON), which names the principal."""
    principal = cast("dict[str, str]", orjson.loads(evidence)).get("principal", ANONYMOUS)
    return Sighting(step, event, principal, tuple(sorted(written)))
