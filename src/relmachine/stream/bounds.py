"""Bounds of the stream room, in one place. Bytes, counts and seconds as the names say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

MIB = 1024 * 1024

ACK_WAIT_SECONDS = 30.0
"""How long a hint may be in hand before it is told again, where one node has the store."""

SHARED_ACK_WAIT_SECONDS = 8.0
"""The same where nodes share a store: how long the hints in the hands of a node that died wait before others have them.
Longer than any call between nodes (`DaprBounds`). A hint that only waits this long in a busy node comes to
another as well, which is waste."""

HEADER_BYTES_MAX = 512
"""Room kept for our headers, which the server counts as part of a message."""


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What the stream and its clients may take.

    `dedupe_window_seconds` is how long the server remembers message ids: a convenience against floods of repeats,
    never the basis of a promise. `ack_wait_seconds` may be left open: a node then takes what fits the way it runs
    (`acknowledged_within`). A node that lives keeps a hint in hand longer than that, up to `in_hand_seconds_max`.
    `tail_bytes_max` bounds the memory of all that is kept from the hint consumer.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    message_bytes_max: int = MIB
    dedupe_window_seconds: float = 120.0
    batch_messages_max: int = 1000
    batch_bytes_max: int = 8 * MIB
    batches_in_flight_max: int = 4
    publish_attempts_max: int = 8
    reads_in_flight_max: int = 64
    read_bytes_max: int = 8 * MIB
    read_attempts_max: int = 5
    fetch_bytes_max: int = 8 * MIB
    pull_expires_seconds: float = 5.0
    ack_wait_seconds: float | None = None
    in_hand_seconds_max: float = 60.0
    again_delay_seconds: float = 0.25
    tail_bytes_max: int = 32 * MIB
    tail_threads_max: int = 50_000
    feed_attempts_max: int = 8
    feed_hold_seconds_max: float = 60.0
    feed_subjects_cached_max: int = 50_000
    watched_frames_max: int = 1000
    answer_seconds_max: float = 5.0
    connect_seconds_max: float = 3.0
    reconnect_seconds_max: float = 60.0
    reconnect_wait_seconds: float = 0.1
    close_seconds_max: float = 3.0

    def acknowledged_within(self, *, shared: bool) -> float:
        """Seconds after which a hint is told again: as set, else by whether nodes share the store."""
        if self.ack_wait_seconds is not None:
            return self.ack_wait_seconds
        return SHARED_ACK_WAIT_SECONDS if shared else ACK_WAIT_SECONDS
