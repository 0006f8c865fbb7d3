"""The consumers of step hints and of the control lane as they must be, why, and in which settings one that is there is
not. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy

from relmachine.stream.streams import plain

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits
    from relmachine.stream.bounds import StreamBounds
    from relmachine.stream.topology import Topology

PROMISED: Mapping[str, str] = {
    "ack_policy": "a hint comes again until it is done, each by itself",
    "max_deliver": "a hint comes again however often it has to",
    "filter_subject": "every step is told",
    "filter_subjects": "every step is told",
    "deliver_subject": "a node asks for hints when it has room",
    "headers_only": "the body comes along",
    "replay_policy": "hints come as fast as they are taken",
    "rate_limit_bps": "hints come as fast as they are taken",
    "backoff": "a hint comes again after ack_wait, however often",
    "inactive_threshold": "the consumer outlives its nodes",
    "mem_storage": "what is done stays known when the server ends",
    "num_replicas": "what is done stays known when a server is lost",
    "pause_until": "hints come",
}
"""The settings on which promises rest, and the promise."""

TUNED: Mapping[str, str] = {
    "ack_wait": "how soon the hints of a node that died come to another",
    "max_ack_pending": "how many hints are out at a time",
}
"""Settings that follow from the node's own. A consumer that was made with others is brought to them."""

LANE_ACK_WAIT_SECONDS = 2.0
"""How soon a lane record in the hands of a node that died comes to another. One takes a few milliseconds."""

LANE_RECORDS_OUT_MAX = 1000
"""Lane records that are out at a time."""


def hint_consumer(name: str, bounds: StreamBounds, limits: Limits, start: int = 1) -> ConsumerConfig:
    """The durable consumer `name` of the steps from sequence `start` on."""
    return ConsumerConfig(
        durable_name=name,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=bounds.acknowledged_within(shared=False),
        max_ack_pending=limits.hints_in_flight_max,
        max_deliver=-1,
        replay_policy=ReplayPolicy.INSTANT,
    )


def lane_consumer(name: str, topology: Topology, bounds: StreamBounds) -> ConsumerConfig:
    """The durable consumer `name` of the control lane, from its beginning on."""
    return ConsumerConfig(
        durable_name=name,
        deliver_policy=DeliverPolicy.ALL,
        filter_subject=topology.control_subject("*"),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=min(bounds.acknowledged_within(shared=True), LANE_ACK_WAIT_SECONDS),
        max_ack_pending=LANE_RECORDS_OUT_MAX,
        max_deliver=-1,
        replay_policy=ReplayPolicy.INSTANT,
    )


def promised(consumer: ConsumerConfig) -> dict[str, object]:
    """The settings of `consumer` on which promises rest, then those that follow from the node's, as JSON values; what
    is not set is false.
    """
    return {name: plain(getattr(consumer, name)) for name in (*PROMISED, *TUNED)}


def drift(wanted: ConsumerConfig, found: ConsumerConfig) -> dict[str, dict[str, str]]:
    """The promised settings in which `found` is not as wanted: setting to expected and found, as text."""
    ours, theirs = promised(wanted), promised(found)
    changed = [name for name in PROMISED if ours[name] != theirs[name]]
    return {name: {"expected": str(ours[name]), "found": str(theirs[name])} for name in changed}


def tuned(wanted: ConsumerConfig, found: ConsumerConfig) -> ConsumerConfig | None:
    """`found` with the node's settings; None when it has them."""
    ours = {name: getattr(wanted, name) for name in TUNED}
    return None if all(getattr(found, name) == value for name, value in ours.items()) else replace(found, **ours)
