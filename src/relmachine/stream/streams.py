"""The four streams as they must be, why, and in which settings a stream that is there is not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import cast

from nats.js.api import Base, DiscardPolicy, RePublish, RetentionPolicy, StorageType, StreamConfig

from relmachine.stream.bounds import StreamBounds
from relmachine.stream.topology import Topology

_AS_IF_UNSET = "default"
"""A persist mode that servers do not store."""

PROMISED: Mapping[str, str] = {
    "subjects": "nothing that belongs here is elsewhere, and nothing else is here",
    "storage": "what was acknowledged survives the server's process",
    "retention": "nothing goes because it was read",
    "discard": "a full stream refuses the new message and keeps the old ones",
    "discard_new_per_subject": "no thread is refused while there is room",
    "max_msgs": "nothing goes because there is much",
    "max_bytes": "nothing goes because it is large",
    "max_age": "nothing goes because it is old",
    "max_msgs_per_subject": "nothing goes because its thread is long",
    "max_msg_size": "every message within the bound is taken",
    "max_consumers": "each store has its consumer",
    "consumer_limits": "each store has its consumer, with the bounds that its nodes ask for",
    "duplicate_window": "the server recognises repeats for so long",
    "num_replicas": "the stream survives the loss of a server when there are three",
    "no_ack": "a publisher is told what was stored",
    "persist_mode": "a publisher is told once it is written, not before",
    "allow_direct": "a thread is read in one request",
    "allow_atomic": "steps published together are stored together, in order",
    "deny_delete": "nobody takes a message out",
    "deny_purge": "nobody empties the stream",
    "allow_rollup_hdrs": "no header of a publisher takes messages out",
    "allow_msg_ttl": "no header of a publisher makes messages go",
    "allow_msg_counter": "a message stays as it was published",
    "allow_msg_schedules": "a message is stored when it is published",
    "sealed": "the stream takes messages",
    "subject_transform": "a message stays on the subject where it was published",
    "mirror": "all messages were published here",
    "sources": "all messages were published here",
    "republish": "followers hear what is stored, and nothing else",
}
"""The settings on which promises rest, and the promise."""


def configurations(topology: Topology, bounds: StreamBounds, replicas: int = 1) -> list[StreamConfig]:
    """The streams of steps, journal, feeds and control as they must be, in this order."""
    steps = _log_of(topology, bounds, replicas, topology.steps_stream, [topology.steps_subjects])
    steps.allow_atomic = True
    journal = _log_of(
        topology, bounds, replicas, topology.feed_stream("journal"), [topology.feed_subject("journal", "*")]
    )
    feeds = _log_of(
        topology,
        bounds,
        replicas,
        topology.feed_stream("out"),
        [topology.feed_subject("out", "*"), topology.feed_subject("rejected", "*")],
    )
    for feed in (journal, feeds):
        # Announced only once stored, so that a subscriber who reads on being told finds the message.
        feed.republish = RePublish(
            src=f"relm.{topology.machine}.*.*",
            dest=f"relm.{topology.machine}.live.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
        )
    effects = topology.feed_subject("effect", "*")
    control = _log_of(topology, bounds, replicas, topology.control_stream, [topology.control_subject("*"), effects])
    control.republish = RePublish(src=effects, dest=topology.live_subject("effect", "{{wildcard(1)}}"))
    return [steps, journal, feeds, control]


def _log_of(topology: Topology, bounds: StreamBounds, replicas: int, name: str, subjects: list[str]) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        max_msgs_per_subject=-1,
        max_msg_size=bounds.message_bytes_max,
        max_consumers=-1,
        duplicate_window=bounds.dedupe_window_seconds,
        num_replicas=replicas,
        allow_direct=True,
        deny_delete=True,
        deny_purge=True,
        metadata=dict(topology.metadata),
    )


def promised(stream: StreamConfig) -> dict[str, object]:
    """The settings of `stream` on which promises rest, as JSON values; what is not set is false."""
    return {name: plain(getattr(stream, name)) for name in PROMISED}


def drift(wanted: StreamConfig, found: StreamConfig) -> dict[str, dict[str, str]]:
    """The promised settings in which `found` is not as wanted: setting to expected and found, as text."""
    ours, theirs = promised(wanted), promised(found)
    changed = [name for name in PROMISED if ours[name] != theirs[name]]
    return {name: {"expected": str(ours[name]), "found": str(theirs[name])} for name in changed}


def plain(value: object) -> object:
    """A setting as a JSON value. Absent, empty, zero and off are one: servers write one thing in several ways."""
    if isinstance(value, Base):
        value = {name: plain(item) for name, item in value.as_dict().items() if item}
    elif isinstance(value, list):
        value = [plain(item) for item in cast(list[object], value)]
    elif isinstance(value, Enum):
        value = value.value
    return False if value == _AS_IF_UNSET else value or False
