"""What the status page shows, gathered from the node and its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from relmachine.kernel.standing import effective, settled
from relmachine.kernel.state import ThreadState
from relmachine.observe import asking
from relmachine.observe.answers_lag import Lag
from relmachine.observe.port import NodeView
from relmachine.store import reading

THREADS_SHOWN = 10
REJECTIONS_SHOWN = 10
DEPTH_SPELT_OUT_MAX = 200
"""Events up to which a history's normal form is shown: it is made from all of them."""


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """One thread as the page shows it, with the names of its claims by where they stand.

    `open` ones hold and may still be taken back, as a model's always are; `superseded` ones had settled, and fell.
    """

    thread: str
    sequence: int
    depth: int
    normal_form: str
    settled: Sequence[str]
    open: Sequence[str] = ()
    superseded: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RejectionRow:
    """One refused step as the page shows it."""

    thread: str
    sequence: int
    step: str
    gate: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A node at a glance. `figures` are None when they cannot be counted in time, `lag` when the stream is silent.

    `gates` has for each gate, in the order asked, its `questions`, the `steps` in them, and the `seconds` they took.
    """

    status: Mapping[str, object]
    figures: Mapping[str, object] | None
    threads: Sequence[ThreadRow]
    rejections: Sequence[RejectionRow]
    gates: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    lag: Lag | None = None


async def overview(node: NodeView, figures: Mapping[str, object] | None) -> Overview:
    """What the page shows of `node` now."""
    status = node.status()
    newest = await reading.newest_threads(node.store, THREADS_SHOWN)
    states = await node.store.states([line.thread for line in newest])
    threads = [await _thread(node, line, states[line.thread]) for line in newest]
    rejections = [
        RejectionRow(item.thread, item.sequence, item.step, item.gate, item.code, item.sentence)
        for item in await reading.newest_rejections(node.store, REJECTIONS_SHOWN)
    ]
    gates = cast(Mapping[str, Mapping[str, float]], status.get("gates", {}))
    return Overview(status, figures, threads, rejections, gates, await asking.lag_if_known(node))


async def _thread(node: NodeView, line: reading.ThreadLine, state: ThreadState) -> ThreadRow:
    text = f"{line.depth} steps in {line.tier} tiers"
    if line.depth <= DEPTH_SPELT_OUT_MAX:
        text = await reading.normal_form(node.store, line.thread, line.sequence)
    plan, now = node.plan, settled(node.plan, state.alive)
    return ThreadRow(
        line.thread,
        line.sequence,
        line.depth,
        text,
        settled=plan.claim_names(now),
        open=plan.claim_names(effective(plan, state.alive) & ~now),
        superseded=await reading.superseded(node.store, line.thread),
    )
