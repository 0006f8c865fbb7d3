"""Bounds as they are set, narrower where nodes share a store or call each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits
    from relmachine.node.settings import Settings
    from relmachine.stream.bounds import StreamBounds


def node_limits(settings: Settings) -> Limits:
    """As set; where nodes work on the same hints and call each other, with fewer hints fetched at once (what waits here
    could run elsewhere) and rounds that end well before the calls that wait for them."""
    limits, bounds = settings.limits, settings.dapr_bounds
    if settings.dapr_address is None:
        return limits
    return replace(
        limits,
        hints_per_fetch_max=min(limits.hints_per_fetch_max, max(1, bounds.hints_in_hand_max // 2)),
        steps_per_round_max=min(limits.steps_per_round_max, bounds.steps_per_round_max),
    )


def stream_bounds(settings: Settings) -> StreamBounds:
    """As set; where nodes share a store, unless told otherwise with a shorter wait for the hints of one that died."""
    bounds = settings.stream_bounds
    return replace(bounds, ack_wait_seconds=bounds.acknowledged_within(shared=bool(settings.store_urls)))
