"""Which steps leave together, and which leave again after a loss. Pure.

Whatever is chosen here keeps each thread's order: no later step of a thread is sent where an earlier one is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relmachine.stream.bounds import StreamBounds
from relmachine.stream.port import Outgoing, Published


def windows(steps: Sequence[Outgoing], bounds: StreamBounds) -> Iterator[Sequence[Outgoing]]:
    """`steps` cut where a window would hold too many messages or bytes."""
    start = size = 0
    for index, step in enumerate(steps):
        full = index - start == bounds.batch_messages_max or size + len(step.body) > bounds.batch_bytes_max
        if full and index > start:
            yield steps[start:index]
            start, size = index, 0
        size += len(step.body)
    if start < len(steps):
        yield steps[start:]


def unfinished(window: Sequence[Outgoing], results: Sequence[Published | None]) -> list[int]:
    """Positions to send: of each thread everything from its first message without acknowledgement on."""
    open_threads: set[str] = set()
    positions: list[int] = []
    for index, step in enumerate(window):
        if results[index] is None:
            open_threads.add(step.thread)
        if step.thread in open_threads:
            positions.append(index)
    return positions
