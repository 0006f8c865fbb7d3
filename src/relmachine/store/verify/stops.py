"""Verification that a thread that was stopped, or a run, stayed so, and that nothing was taken for stopped before."""

from __future__ import annotations

from typing import cast

from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, shown

_AFTER = """
SELECT c.thread, c.to_seq, s.record FROM thread_stops s JOIN commits c ON c.thread = s.thread
WHERE c.from_seq >= s.at_seq AND c.to_head <> c.from_head LIMIT 1
"""
_EVENTS_AFTER = """
SELECT t.thread, t.seq, s.record FROM thread_stops s JOIN thread_events t ON t.thread = s.thread
WHERE t.seq > s.at_seq LIMIT 1
"""
_RUNS_AFTER = """
SELECT n.thread, n.at_seq, 'cancel' FROM run_stops s JOIN run_ends n ON n.thread = s.thread AND n.seq = s.seq
WHERE n.at_seq > s.at_seq AND n.lifecycle = 'OPEN>ACTIVE>COMMIT>CLOSE' LIMIT 1
"""
_OPENED_AFTER = """
SELECT o.thread, o.seq, s.record FROM thread_stops s
JOIN (SELECT thread, seq FROM runs UNION ALL SELECT thread, seq FROM held) o ON o.thread = s.thread AND o.seq > s.at_seq
LIMIT 1
"""
# A step of a run or one that was held has its refusal where it came, from when it ended; records look at other threads.
_STOPPED_BEFORE = """
SELECT r.thread, r.seq, r.code FROM rejections r
WHERE r.code IN ('thread_cancelled', 'thread_closed') AND substr(r.step, 1, 1) <> '_'
  AND NOT EXISTS (SELECT 1 FROM thread_stops s WHERE s.thread = r.thread AND s.at_seq < r.seq)
  AND NOT EXISTS (SELECT 1 FROM controls c WHERE c.thread = r.thread AND c.record = '_close' AND c.seq < r.seq)
  AND NOT EXISTS (SELECT 1 FROM run_ends n WHERE n.thread = r.thread AND n.seq = r.seq)
  AND NOT EXISTS (SELECT 1 FROM held_ends n WHERE n.thread = r.thread AND n.seq = r.seq) LIMIT 1
"""
_QUESTIONS = {
    _AFTER: "a change of a thread that was stopped",
    _EVENTS_AFTER: "a change of a thread that was stopped",
    _RUNS_AFTER: "an event of a run that was cancelled",
    _OPENED_AFTER: "a step that was opened or held in a thread that was stopped",
    _STOPPED_BEFORE: "a refusal as of a stopped thread, before it was",
}


async def check_stops(store: Reads) -> Fault | None:
    """The first row that contradicts a stop."""
    for question, differs in _QUESTIONS.items():
        for thread, sequence, what in (await store.select(question)).rows:
            return Fault(cast(str, thread), cast(int, sequence), "", differs, shown(what), shown(""))
    return None
