"""What the status page shows, gathered from the node and its store."""

from __future__ import annotations

from collections.abc import Mapping

from relmachine.observe.page import RejectionRow, ThreadRow, render
from relmachine.observe.port import NodeView
from relmachine.store import reading

THREADS_SHOWN = 10
REJECTIONS_SHOWN = 10
DEPTH_SPELT_OUT_MAX = 200
"""Events up to which a history's normal form is shown: it is made from all of them."""


async def overview(node: NodeView, figures: Mapping[str, object] | None) -> str:
    """The status page as HTML; `figures` are None when they cannot be counted in time."""
    threads = [await _thread(node, line) for line in await reading.newest_threads(node.store, THREADS_SHOWN)]
    rejections = [
        RejectionRow(item.thread, item.sequence, item.step, item.gate, item.code, item.sentence)
        for item in await reading.newest_rejections(node.store, REJECTIONS_SHOWN)
    ]
    return render(node.status(), figures, threads, rejections)


async def _thread(node: NodeView, line: reading.ThreadLine) -> ThreadRow:
    text = f"{line.depth} steps in {line.tier} tiers"
    if line.depth <= DEPTH_SPELT_OUT_MAX:
        text = await reading.normal_form(node.store, line.thread, line.sequence)
    settled = await reading.settled(node.store, line.thread, line.sequence)
    return ThreadRow(line.thread, line.sequence, line.depth, text, settled)
