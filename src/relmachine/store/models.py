"""Public models read from a store's tables: the fiber of a history, and the accord of a thread."""

from __future__ import annotations

from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.gates.models import Accord, AccordSection, Contribution, Fiber
from relmachine.machine.plan import Reducer
from relmachine.store.fiber_reading import fiber
from relmachine.store.port import Reads

HISTORIES_MAX = 256
"""Histories of one accord that are read: every section holds all its contributions."""

_ACCORD = "SELECT value FROM meta WHERE key = 'accord_id'"
_FIELDS = "SELECT field, reducer FROM accord_fields ORDER BY field"
_EVENTS = "SELECT event_id, history_id FROM thread_events WHERE thread = ? ORDER BY seq, place LIMIT ?"
_CONTRIBUTIONS = """
SELECT c.event_id, c.field, c.value FROM thread_contributions c WHERE c.thread = ? ORDER BY c.seq, c.place, c.field
"""


async def fiber_model(store: Reads, history: str) -> Fiber:
    """The fiber of a history, its laws held again. Errors: `not_found`; ValidationError where the rows break a law."""
    return Fiber.of(await fiber(store, history))


async def accord_model(store: Reads, thread: str) -> Accord:
    """The sections over every history that a thread went through.

    Errors: `not_found` for a thread without events, `limit_exceeded` for one with more than `HISTORIES_MAX`;
    ValidationError where the rows break a law.
    """
    events = cast("tuple[tuple[str, str], ...]", (await store.select(_EVENTS, (thread, HISTORIES_MAX + 1))).rows)
    if not events:
        raise RelmError(Code.NOT_FOUND, f"no events of thread {thread!r} in this store", thread=thread)
    if len(events) > HISTORIES_MAX:
        sentence = f"read an accord of at most {HISTORIES_MAX} histories, or one section at a time"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, thread=thread, histories_max=HISTORIES_MAX)
    accord = cast(str, (await store.select(_ACCORD)).rows[0][0])
    fields = {cast(str, name): Reducer(cast(str, reducer)) for name, reducer in (await store.select(_FIELDS)).rows}
    told = cast("tuple[tuple[str, str, str], ...]", (await store.select(_CONTRIBUTIONS, (thread,))).rows)
    sections: list[AccordSection] = []
    for length, (_, history) in enumerate(events, 1):
        held = tuple(event for event, _ in events[:length])
        contributions = tuple(
            Contribution(event_id=event, field=field, value=value) for event, field, value in told if event in held
        )
        sections.append(
            AccordSection(accord_id=accord, history_id=history, fields=fields, events=held, contributions=contributions)
        )
    return Accord.of(sections)
