"""A store that begins is told where an earlier one was told something: before its first turn, from the feed of effects.

So threads that were stopped, paused or given a budget in the middle are built again as they were.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from relmachine.errors import Code, RelmError
from relmachine.hosts.lane_texts import control_of, effect_of
from relmachine.kernel.lane import Foretold
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.thread_token import thread_label
from relmachine.store.foretelling import FORETOLD_PER_CALL_MAX, has_moved

if TYPE_CHECKING:
    from relmachine.hosts.lane_port import Stored
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store
    from relmachine.stream.follow import FeedMessage

_log = structlog.get_logger(__name__)

LAG_SECONDS = 0.25
"""Pause after a replica of the stream had nothing of what its leader has."""

READS_MAX = 120
"""How often it is asked before the node gives up."""


async def foretell(plan: Plan, store: Store, feeds: Stored) -> int:
    """Tell `store` every effect of other stores that the feed has, if no turn has moved a thread of it yet; returns how
    many there are. To be done before any turn; safe to do again, and on several nodes of one store.

    Errors: `unreachable`.
    """
    if await has_moved(store):
        return 0
    position, end, count = 0, await feeds.end("effect"), 0
    while position < end:
        page = await _page(feeds, position)
        position = page[-1].position
        told = [one for message in page if (one := _foretold(plan, store.store_id, message)) is not None]
        for start in range(0, len(told), FORETOLD_PER_CALL_MAX):
            await store.foretell(told[start : start + FORETOLD_PER_CALL_MAX])
        count += len(told)
    if count:
        _log.info("a store is built again, with what its threads were told", effects=count)
    return count


async def _page(feeds: Stored, after: int) -> list[FeedMessage]:
    """The next messages, of which there are some: a replica that answers with none lags."""
    for _ in range(READS_MAX):
        if page := await feeds.page("effect", "*", after):
            return page
        await asyncio.sleep(LAG_SECONDS)
    sentence = "the stream's replicas do not come to what its leader has: wait for them, and start the node again"
    raise RelmError(Code.UNREACHABLE, sentence, feed="effect", after=after)


def _foretold(plan: Plan, own: str, message: FeedMessage) -> Foretold | None:
    """The effect of another store that a message tells of; None for one of `own`, and for what no node wrote."""
    control = control_of(message.body)
    if not control or message.store in ("", own):
        return None
    effect, empty = effect_of(message.thread, control), initial_state(plan, message.thread)
    return Foretold(
        effect.thread,
        message.sequence,
        effect.control_seq,
        effect.record,
        effect.step_key,
        effect.at_seq,
        effect.payload,
        effect.evidence,
        effect.outcome,
        effect.refusal,
        begun=effect.at_head != "",
        label=thread_label(effect.thread),
        head=empty.head,
        state=dump_state(empty),
    )
