"""Tables that commits fill, with the one way to insert many rows at once.

Rows go in as `VALUES` lists of a few fixed lengths: one statement for many rows, because the interpreter's lock changes
hands with every statement, and a busy event loop makes each change wait. Measured against one row per statement and
against `SELECT … FROM json_each(?)`; see DESIGN.md. The same texts run on rqlite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

_ROWS_PER_STATEMENT_MAX = 512


@dataclass(frozen=True, slots=True)
class Target:
    """A table, or a view that can be written, and the columns that rows come in."""

    name: str
    columns: tuple[str, ...]


def _target(name: str, columns: str) -> Target:
    return Target(name, tuple(columns.split()))


FIBERS = _target("fibers", "fiber_id points")
FIBER_POINTS = _target("fiber_points", "fiber_id position point up saturation transfer")
FIBER_ELEMENTS = _target("fiber_elements", "fiber_id elem")
FIBER_MEET = _target("fiber_meet", "fiber_id a b result")
FIBER_JOIN = _target("fiber_join", "fiber_id a b result")
FIBER_IMPL = _target("fiber_impl", "fiber_id a b result")
NUCLEI = _target("nuclei", "fiber_id elem saturate transfer")
EVENTS = _target(
    "events",
    "event_id genesis step step_key tier payload payload_digest contributions_digest parents plan_digest lifecycle"
    " verdicts",
)
HISTORIES = _target("histories", "history_id depth tier normal_form_ref fiber_id section_digest thread seq place")
THREAD_EVENTS = _target("thread_events", "thread seq event_id history_id evidence place")
EXTENSIONS = _target("extensions", "source target step")
CLAIMS = _target("claims", "event_id claim touch")
CONTRIBUTIONS = _target("contributions", "event_id field value")
RECEIPTS = _target("receipts", "thread step_key step payload_digest seq outcome")
REJECTIONS = _target("rejections", "thread seq step step_key gate code sentence witness lifecycle")
TRANSITIONS = _target("transitions", "thread seq claim kind history_before history_after")
CONTROLS = _target("controls", "thread seq record step_key payload evidence")
OBSTRUCTIONS = _target(
    "obstructions", "obstruction_id thread other seq disagreement field witness left_side right_side"
)
RESOLUTIONS = _target("resolutions", "obstruction_id thread seq keep reason principal")
RUNS = _target("runs", "thread seq step step_key payload payload_digest frozen_digest evidence")
RUN_ATTEMPTS = _target("run_attempts", "thread seq attempt at_seq view")
RUN_ANSWERS = _target("run_answers", "thread seq attempt at_seq reason frozen_digest said")
RUN_ENDS = _target("run_ends", "thread seq at_seq lifecycle outcome")
FROZEN_PLANS = _target("frozen_plans", "frozen_digest content")
DECISIONS = _target("decisions", "thread seq attempt place kind name asked value error tokens cost seal")
ITERATIONS = _target("iterations", "thread seq attempt number decision tool input output error state")
RUN_DRAFTS = _target("run_drafts", "thread seq attempt place decision")
HELD = _target("held", "thread seq step step_key payload payload_digest missing evidence")
HELD_ENDS = _target("held_ends", "thread seq at_seq lifecycle outcome")
OUTBOX = _target("outbox", "thread seq kind body")
THREADS = _target("threads", "thread label head epoch seq state")
COMMITS = _target("commits", "thread from_head from_seq epoch to_head to_seq")
SENT = _target("outbox", "seq kind thread")
"""Not inserted but deleted: messages that left."""
MOVED = _target("threads", "thread head epoch seq state snapshot_depth")
"""Not inserted but updated: where threads went."""
SECTION_SNAPSHOTS = _target("section_snapshots", "history_id section_data thread seq depth")
PLANS = _target("plans", "plan_digest machine version laws_digest matrix_digest declaration")
STEPS = _target("steps", "name number kind")
COMMUTATION = _target("commutation", "step_a step_b")
ACCORD_FIELDS = _target("accord_fields", "field type reducer")
META = _target("meta", "key value")

OF_FIBERS = (
    FIBERS,
    FIBER_POINTS,
    FIBER_ELEMENTS,
    FIBER_MEET,
    FIBER_JOIN,
    FIBER_IMPL,
    NUCLEI,
)
"""Of a fiber that is first seen; what is referred to comes first."""

OF_TURNS = (
    EVENTS,
    HISTORIES,
    THREAD_EVENTS,
    EXTENSIONS,
    CLAIMS,
    CONTRIBUTIONS,
    RECEIPTS,
    REJECTIONS,
    TRANSITIONS,
    CONTROLS,
    OBSTRUCTIONS,
    RESOLUTIONS,
    FROZEN_PLANS,
    RUNS,
    RUN_ANSWERS,
    RUN_ATTEMPTS,
    DECISIONS,
    ITERATIONS,
    RUN_ENDS,
    HELD,
    HELD_ENDS,
    OUTBOX,
)
"""What turns write between the fence and the move of their threads; what is referred to comes first."""


def insert(connection: sqlite3.Connection, target: Target, rows: Sequence[Sequence[object]]) -> None:
    """Insert `rows` in order. Raises sqlite3.IntegrityError when a constraint or a trigger refuses one."""
    size, done = _ROWS_PER_STATEMENT_MAX, 0
    while done < len(rows):
        while size > len(rows) - done:
            size //= 2
        values = list(chain.from_iterable(rows[done : done + size]))
        connection.execute(insert_statement(target, size), values)
        done += size


@cache
def insert_statement(target: Target, rows: int) -> str:
    """The statement that inserts `rows` rows, their values one after another as parameters."""
    row = f"({', '.join('?' * len(target.columns))})"
    return f"INSERT INTO {target.name} ({', '.join(target.columns)}) VALUES {', '.join([row] * rows)}"
