"""Bounds of the calls between nodes, in one place. Bytes, counts and seconds as the names say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class DaprBounds:
    """What a call may take, and how long the host waits for its sidecar.

    `turn_seconds_max` is below `call_seconds_max`, so that a node answers before its caller gives up; both are far
    below the stream's `ack_wait_seconds`, so that a hint is handed back before the stream delivers it again by itself.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    call_seconds_max: float = 5.0
    turn_seconds_max: float = 4.0
    calls_in_flight_max: int = 64
    hints_in_hand_max: int = 1024
    steps_per_round_max: int = 1024
    start_seconds_max: float = 30.0
    look_seconds: float = 0.05
    reconnect_seconds: float = 0.5
    leave_seconds_max: float = 5.0
    idle_seconds_max: float = 300.0
    body_bytes_max: int = 1024
