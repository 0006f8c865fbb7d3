"""Whether a server and an account can keep what is promised, by what they say of themselves. Pure.

Everything is checked before anything is made. What nobody tells a client: how often the server calls fsync
(`docs/durability.md`), and limits of the server that are no account's; those show when streams and consumer are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import HEADER_BYTES_MAX, StreamBounds

if TYPE_CHECKING:
    from nats.js.api import AccountInfo

    from relmachine.kernel.limits import Limits

VERSION_MIN = (2, 12, 1)
"""Atomic batches came with 2.12.0, and take message ids from 2.12.1 on; batched direct reads came with 2.11."""

API_LEVEL_MIN = 2
"""The level of JetStream in 2.12, as whichever server of a cluster answers for its metadata tells it."""

_METADATA_REQUEST_BYTES_MAX = 4096
"""What a request to make a stream needs beside the metadata."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """`what` is `found`, and something promised needs `needed`; `advice` says how to get there."""

    what: str
    needed: object
    found: object
    advice: str


def unfit_server(version: str, max_payload_bytes: int, bytes_needed: int) -> list[Unfit]:
    """What is wrong with the server that greeted: too old, or it takes too little."""
    found: list[Unfit] = []
    if not _new_enough(version):
        least = ".".join(map(str, VERSION_MIN))
        found.append(Unfit("version", least, version, f"run nats-server {least} or newer"))
    if max_payload_bytes < bytes_needed:
        advice = f"set max_payload of the server to {bytes_needed} or more, or lower payload_bytes_max in RELM_LIMITS"
        found.append(Unfit("max_payload", bytes_needed, max_payload_bytes, advice))
    return found


def bytes_needed(limits: Limits, metadata_bytes: int) -> int:
    """The longest message that a server must take: a step as long as gate 1 admits, or the streams' metadata."""
    return max(limits.payload_bytes_max + HEADER_BYTES_MAX, metadata_bytes + _METADATA_REQUEST_BYTES_MAX)


def unfit_account(
    info: AccountInfo, limits: Limits, bounds: StreamBounds, *, replicas: int, streams_to_make: int
) -> list[Unfit]:
    """What is wrong with the account: each limit that is there (-1 is none) and too low for a node's work."""
    level = info.api.level or 0
    found: list[Unfit] = []
    if level < API_LEVEL_MIN:
        advice = "update every server of the cluster to nats-server " + ".".join(map(str, VERSION_MIN)) + " or newer"
        found.append(Unfit("api_level", API_LEVEL_MIN, level, advice))
    tier = (info.tiers or {}).get(f"R{replicas}")
    if info.tiers and tier is None:
        advice = f"give the account a tier R{replicas}, or set RELM_REPLICAS to one that it has"
        return [*found, Unfit("tiers", f"R{replicas}", sorted(info.tiers), advice)]
    used = info if tier is None else tier
    may = used.limits
    room = bounds.batch_bytes_max * bounds.batches_in_flight_max
    if 0 <= may.max_streams < used.streams + streams_to_make:
        advice = "raise max_streams of the account, or remove streams that nobody needs"
        found.append(Unfit("max_streams", used.streams + streams_to_make, may.max_streams, advice))
    if 0 <= may.max_storage < used.storage + room:
        advice = "raise max_file of the account: what a node may have on its way to the stream must fit"
        found.append(Unfit("max_storage", used.storage + room, may.max_storage, advice))
    if 0 <= may.max_ack_pending < limits.hints_in_flight_max:
        advice = "raise max_ack_pending of the account, or lower hints_in_flight_max in RELM_LIMITS"
        found.append(Unfit("max_ack_pending", limits.hints_in_flight_max, may.max_ack_pending, advice))
    if may.max_bytes_required or may.storage_max_stream_bytes > 0:
        bound = "max_bytes_required" if may.max_bytes_required else "storage_max_stream_bytes"
        value: object = may.max_bytes_required or may.storage_max_stream_bytes
        advice = f"take {bound} from the account: nothing is ever deleted from these streams, so they have no bound"
        found.append(Unfit(bound, "none", value, advice))
    return found


def refuse(found: Sequence[Unfit], **witness: object) -> None:
    """Raise what is wrong, if anything is. Errors: `stream_unfit`."""
    if found:
        raise RelmError(
            Code.STREAM_UNFIT,
            "; ".join(dict.fromkeys(item.advice for item in found)),
            unfit={item.what: {"needed": item.needed, "found": item.found} for item in found},
            **witness,
        )


def _new_enough(version: str) -> bool:
    """A version of another form is somebody's own build: what it can do shows in the streams' settings."""
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return numbers is None or tuple(map(int, numbers.groups())) >= VERSION_MIN
