"""What a replay's store has, beside what is recorded: events, histories, sections and the lives of runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from relmachine.replay.difference import Difference, Shown
from relmachine.replay.recorded import Recorded, Room
from relmachine.store import reading

if TYPE_CHECKING:
    from relmachine.replay.exported import ExportedAttempt, ExportedEvent, ExportedRun, ThreadExport
    from relmachine.store.port import Reads


async def compare(store: Reads, export: ThreadExport) -> list[Shown]:
    """All differences: those of runs before those of events, which follow from them."""
    recorded: defaultdict[str, list[ExportedEvent]] = defaultdict(list)
    for event in export.events:
        recorded[event.thread].append(event)
    events: list[Shown] = []
    runs: dict[tuple[str, int], ExportedRun] = {}
    for thread, digest in export.sections.items():
        found = Recorded(store, thread, Room(thread))
        await found.read_events()
        await found.read_runs()
        events += _events(thread, recorded[thread], found.events)
        runs |= {(run.thread, run.request): run for run in found.runs}
        section = (await reading.section(store, thread)).section_digest if found.events else None
        if section != digest:
            last = max((event.sequence for event in recorded[thread]), default=0)
            events.append(_shown(thread, last, 0, "section digest", digest or "", section or ""))
    return [one for run in export.runs for one in _run(run, runs.get((run.thread, run.request)))] + events


def _events(thread: str, recorded: Sequence[ExportedEvent], found: Sequence[ExportedEvent]) -> list[Shown]:
    """Events by their ids: independent ones may have come in another order. Histories wherever both sides have the same
    events until there: then they are the same.
    """
    here, there = {line.event for line in found}, {event.event for event in recorded}
    instead = {(line.sequence, line.place): line.event for line in found if line.event not in there}
    shown: list[Shown] = []
    for event in recorded:
        if event.event not in here:
            got = instead.pop((event.sequence, event.place), "")
            shown.append(_shown(thread, event.sequence, event.place, "event", event.event, got))
    shown += [_shown(thread, sequence, place, "event", "", got) for (sequence, place), got in instead.items()]
    apart: set[str] = set()
    for event, line in zip(recorded, found, strict=False):
        apart ^= {event.event}
        apart ^= {line.event}
        if not apart and event.history != line.history:
            shown.append(_shown(thread, event.sequence, event.place, "history", event.history, line.history))
    return shown


def _shown(thread: str, sequence: int, place: int, what: str, recorded: str, found: str) -> Shown:
    return Shown(sequence, Difference(thread, sequence, what, recorded, found, place=place))


def _run(run: ExportedRun, found: ExportedRun | None) -> list[Shown]:
    """Whether the run was opened on the same step, each attempt saw and said the same, and it ended the same."""
    at = run.request
    if found is None:
        return [Shown(at, Difference(run.thread, at, "the run is not opened", run.step, ""))]
    shown: list[Shown] = []
    if found.payload_digest != run.payload_digest:
        shown.append(Shown(at, Difference(run.thread, at, "payload digest", run.payload_digest, found.payload_digest)))
    attempts = {one.attempt: one for one in found.attempts}
    for attempt in run.attempts:
        shown += _attempt(run, attempt, attempts.pop(attempt.attempt, None))
    for one in attempts.values():
        shown.append(Shown(one.began, _of(run, one.attempt, "attempt", "", f"begins at {one.began}")))
    if found.outcome != run.outcome:
        difference = _of(run, len(run.attempts), "outcome", _text(run.outcome), _text(found.outcome))
        shown.append(Shown(found.ended or run.ended, difference))
    return shown


def _attempt(run: ExportedRun, recorded: ExportedAttempt, found: ExportedAttempt | None) -> list[Shown]:
    if found is None:
        return [Shown(recorded.began, _of(run, recorded.attempt, "attempt", f"begins at {recorded.began}", ""))]
    pairs = [
        (recorded.began, "attempt", f"begins at {recorded.began}", f"begins at {found.began}"),
        (recorded.began, "view", recorded.view, found.view),
        (recorded.answered or found.answered, "answer at", str(recorded.answered), str(found.answered)),
        (recorded.answered or found.answered, "reason", recorded.reason, found.reason),
        (recorded.answered or found.answered, "frozen plan", recorded.plan, found.plan),
    ]
    return [Shown(at, _of(run, recorded.attempt, what, one, other)) for at, what, one, other in pairs if one != other]


def _of(run: ExportedRun, attempt: int, what: str, recorded: str, found: str) -> Difference:
    return Difference(run.thread, run.request, what, recorded, found, attempt)


def _text(outcome: dict[str, object] | None) -> str:
    return "" if outcome is None else orjson.dumps(outcome, option=orjson.OPT_SORT_KEYS).decode()
