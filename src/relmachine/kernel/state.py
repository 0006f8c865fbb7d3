"""What a turn must know of a thread: bounded by the machine, never by the length of the history.

For every step type only its *last* event matters: events of one type depend on each other, so all earlier ones lie
below it. Covering predecessors and maximal events are then found with masks over step types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.frontier import LastEvent
from relmachine.algebra.identity import EMPTY_SET, genesis_id, history_id
from relmachine.machine.plan import Plan


@dataclass(frozen=True, slots=True)
class ThreadState:
    """A thread after some history.

    `cursor` is the last stream sequence decided; `head` the history id; `asserted` the mask of claims ever asserted
    (P_t); `standing` of those whose last touch is an assert; `vetoed` of those vetoed. `lasts` maps a step's number
    to its last event; `frontier` masks the steps whose last event is maximal. `values` holds the canonical JSON text
    of every `once` field written; `section` is the accumulator of the section's set digest. `closed` names the thread
    that it was merged into; nothing more is admitted then. `stopped` and `paused` come from the control lane and not
    from the history: which record stopped it (a cancellation before a closing), and whether its turns wait; so does
    `until`: where the thread was told something when an earlier store had come to it, so that a turn ends there, and 0
    where there is no such place. `waiting` maps the sequence of each step that is held to its step's number; there are
    at most `Limits.held_per_thread_max`.
    """

    thread: str
    genesis: str
    head: str
    cursor: int = 0
    epoch: int = 0
    depth: int = 0
    tier: int = 0
    asserted: int = 0
    standing: int = 0
    vetoed: int = 0
    frontier: int = 0
    lasts: Mapping[int, LastEvent] = ()  # pyright: ignore[reportAssignmentType]
    values: Mapping[str, str] = ()  # pyright: ignore[reportAssignmentType]
    section: int = EMPTY_SET
    closed: str = ""
    waiting: Mapping[int, int] = ()  # pyright: ignore[reportAssignmentType]
    stopped: str = ""
    paused: bool = False
    until: int = 0

    @property
    def alive(self) -> int:
        """Mask of claims standing and not vetoed."""
        return self.standing & ~self.vetoed


def initial_state(plan: Plan, thread: str) -> ThreadState:
    """The state of `thread` before its first step."""
    genesis = genesis_id(plan.laws_digest, plan.machine, thread)
    return ThreadState(thread=thread, genesis=genesis, head=history_id(genesis, ()), lasts={}, values={}, waiting={})


def dump_state(state: ThreadState) -> str:
    """`state` as JSON text for the `threads` row; masks are hexadecimal because JSON readers round big integers."""
    closed: dict[str, object] = {"closed": state.closed} if state.closed else {}
    waiting = {"waiting": {str(seq): step for seq, step in state.waiting.items()}} if state.waiting else {}
    return orjson.dumps(
        {
            **closed,
            **waiting,
            "genesis": state.genesis,
            "depth": state.depth,
            "tier": state.tier,
            "asserted": f"{state.asserted:x}",
            "standing": f"{state.standing:x}",
            "vetoed": f"{state.vetoed:x}",
            "frontier": f"{state.frontier:x}",
            "lasts": {str(i): [last.event_id, last.tier, f"{last.past:x}"] for i, last in state.lasts.items()},
            "values": dict(state.values),
            "section": f"{state.section:x}",
        }
    ).decode()


def load_state(thread: str, head: str, cursor: int, epoch: int, text: str) -> ThreadState:
    """Inverse of `dump_state`, with the columns the store keeps beside it."""
    raw = cast(dict[str, object], orjson.loads(text))
    masks = {key: int(cast(str, raw[key]), 16) for key in ("asserted", "standing", "vetoed", "frontier", "section")}
    lasts = cast(dict[str, tuple[str, int, str]], raw["lasts"])
    waiting = cast(dict[str, int], raw.get("waiting", {}))
    return ThreadState(
        thread=thread,
        genesis=cast(str, raw["genesis"]),
        head=head,
        cursor=cursor,
        epoch=epoch,
        depth=cast(int, raw["depth"]),
        tier=cast(int, raw["tier"]),
        lasts={int(i): LastEvent(event_id, tier, int(past, 16)) for i, (event_id, tier, past) in lasts.items()},
        values=cast(dict[str, str], raw["values"]),
        closed=cast(str, raw.get("closed", "")),
        waiting={int(seq): step for seq, step in waiting.items()},
        asserted=masks["asserted"],
        standing=masks["standing"],
        vetoed=masks["vetoed"],
        frontier=masks["frontier"],
        section=masks["section"],
    )
