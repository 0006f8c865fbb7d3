"""Verification of what a store that is built again has yet to come to: the threads say whether it should have been."""

from __future__ import annotations

from collections import Counter
from typing import cast

from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, shown

# The thread has passed it, or the effect is there already.
_PASSED = """
SELECT f.thread, f.control_seq, f.at_seq, t.seq FROM foretold f LEFT JOIN threads t ON t.thread = f.thread
WHERE t.seq IS NULL OR f.at_seq <= t.seq OR EXISTS (
  SELECT 1 FROM control_effects e WHERE e.thread = f.thread AND e.control_seq = f.control_seq) LIMIT 1
"""
_COUNT = "SELECT count(*) FROM foretold"


async def check_foretold(store: Reads, counts: Counter[str]) -> Fault | None:
    """The first effect that is foretold and should have taken hold."""
    for thread, sequence, at_seq, cursor in (await store.select(_PASSED)).rows:
        differs = "foretold.at_seq: the thread has passed it"
        return Fault(cast(str, thread), cast(int, sequence), "", differs, shown(at_seq), shown(cursor))
    counts["foretold"] += cast(int, (await store.select(_COUNT)).rows[0][0])
    return None
