"""The activities of a log that no step of the machine stands for: what a new machine still lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.console import Console

    from relmachine.store.port import Reads

SHOWN_MAX = 20

_UNMAPPED = """
SELECT witness ->> '$.activity' AS activity, count(*) AS steps FROM rejections
WHERE code = 'unknown_step' AND witness ->> '$.activity' IS NOT NULL
GROUP BY activity ORDER BY steps DESC, activity
"""

Unmapped = Sequence[tuple[str, int]]
"""(activity, refused steps), the most frequent first."""


async def unmapped(store: Reads) -> Unmapped:
    """The activities in the store's refusals that have no step."""
    return cast(Unmapped, (await store.select(_UNMAPPED)).rows)


def print_unmapped(console: Console, found: Unmapped) -> None:
    """Name them with their counts, and say what to do; nothing when there are none."""
    from relmachine.cli.output import cell, table

    if not found:
        return
    made = table("activity", "#steps", title="No step stands for these activities")
    for activity, steps in found[:SHOWN_MAX]:
        made.add_row(cell(activity), str(steps))
    console.print(made)
    if len(found) > SHOWN_MAX:
        console.print(f"... and {len(found) - SHOWN_MAX} more")
    console.print("They were refused as unknown_step: map them to steps in the machine's ingest.xes.names.")
