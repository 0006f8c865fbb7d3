"""A commit's rows as they travel: each thread's proposal in texts of its own, put together into requests.

So a request can be made again without the proposals that turned out stale, and what a thread adds to one is known
before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.fiber_rows import fiber_rows
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import Statement
from relmachine.store.rqlite.statements import Fragment, fragments, insert_text, inserts, joined
from relmachine.store.turn_rows import MOVE, SENT, Rows, begin_rows, content_rows, fence_rows, moved, new_fibers

_SNAPSHOT_TAKEN = """
UPDATE threads SET snapshot_depth = taken.value ->> 1 FROM json_each(?) taken WHERE thread = taken.value ->> 0
"""
# The fence goes first, so that nothing else of a stale proposal is looked at. Fibers go before the histories in them.
_BEGINNING = (tables.THREADS, tables.COMMITS)
_CONTENT = (*tables.OF_TURNS, tables.SECTION_SNAPSHOTS)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one thread's proposal adds to a request: rows by statement, and their bytes in all."""

    proposal: Proposal
    parts: Mapping[str, tuple[Fragment, ...]]
    bytes: int

    @property
    def thread(self) -> str:
        """The thread."""
        return self.proposal.before.thread


def piece(proposal: Proposal, snapshot: str | None, bounds: RqliteBounds) -> Piece:
    """The rows of a proposal, with the section snapshot to be taken at its end, if any."""
    after = proposal.after
    rows: dict[str, Rows] = {
        insert_text(tables.THREADS): begin_rows([proposal]),
        insert_text(tables.COMMITS): fence_rows([proposal]),
        MOVE: [moved(after)],
    }
    content = content_rows([proposal])
    assert content.keys() <= set(_CONTENT), "rows of a table that no request writes would be lost"
    rows.update((insert_text(target), some) for target, some in content.items())
    if snapshot is not None:
        rows[insert_text(tables.SECTION_SNAPSHOTS)] = [(after.head, snapshot, after.thread, after.cursor, after.depth)]
        rows[_SNAPSHOT_TAKEN] = [(after.thread, after.depth)]
    parts = {statement: fragments(some, bounds.value_bytes_max) for statement, some in rows.items()}
    return Piece(proposal, parts, sum(part.bytes for some in parts.values() for part in some))


def grouped(pieces: Iterable[Piece], bytes_max: int) -> Iterator[list[Piece]]:
    """The pieces in order, as many together as `bytes_max` allows; one that is larger goes alone."""
    group: list[Piece] = []
    size = 0
    for one in pieces:
        if group and size + one.bytes > bytes_max:
            yield group
            group, size = [], 0
        group.append(one)
        size += one.bytes
    if group:
        yield group


def request(
    plan: Plan, pieces: Sequence[Piece], known: set[str], elements_max: int, bytes_max: int
) -> tuple[list[Statement], set[str]]:
    """The statements that commit the pieces, and the fibers among them that are not `known` to be written."""
    fibers = new_fibers(plan, (one.proposal for one in pieces), known)
    statements = _gathered(map(insert_text, _BEGINNING), pieces, bytes_max)
    for target, rows in fiber_rows(fibers.values(), elements_max).items():
        statements += inserts(target, rows, bytes_max)
    statements += _gathered([*map(insert_text, _CONTENT), MOVE, _SNAPSHOT_TAKEN], pieces, bytes_max)
    return statements, set(fibers)


def dropping(sent: Sequence[OutboxRow], bytes_max: int) -> list[Statement]:
    """The statements that drop outbox rows that have left."""
    rows = [(row.seq, row.kind, row.thread) for row in sent]
    return joined(SENT, fragments(rows, bytes_max), bytes_max)


def _gathered(order: Iterable[str], pieces: Sequence[Piece], bytes_max: int) -> list[Statement]:
    return [
        made
        for statement in order
        for made in joined(statement, (part for one in pieces for part in one.parts.get(statement, ())), bytes_max)
    ]
