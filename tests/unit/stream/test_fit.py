"""Goal: limits are compared with what a node needs, of the tier that its replicas are in. Method: answers of servers as
they send them, with one number changed at a time."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from nats.js.api import AccountInfo

from relmachine.kernel.limits import Limits
from relmachine.stream.bounds import HEADER_BYTES_MAX, MIB, StreamBounds
from relmachine.stream.fit import Unfit, bytes_needed, unfit_account, unfit_server

NO_LIMITS = {
    "max_memory": -1,
    "max_storage": -1,
    "max_streams": -1,
    "max_consumers": -1,
    "max_ack_pending": -1,
    "memory_max_stream_bytes": -1,
    "storage_max_stream_bytes": -1,
    "max_bytes_required": False,
}
ROOM = 32 * MIB


def answer(limits: dict[str, object], *, streams: int = 0, storage: int = 0, level: int = 5) -> dict[str, Any]:
    return {
        "memory": 0,
        "storage": storage,
        "streams": streams,
        "consumers": 0,
        "limits": {**NO_LIMITS, **limits},
        "api": {"level": level, "total": 0, "errors": 0},
    }


def unfit(given: dict[str, Any], *, replicas: int = 1, streams_to_make: int = 3) -> list[Unfit]:
    info = AccountInfo.from_response(deepcopy(given))
    return unfit_account(info, Limits(), StreamBounds(), replicas=replicas, streams_to_make=streams_to_make)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (answer({}), []),
        (answer({"max_streams": 3}), []),
        (answer({"max_streams": 3}, streams=1), ["max_streams"]),
        (answer({"max_storage": ROOM}), []),
        (answer({"max_storage": ROOM}, storage=1), ["max_storage"]),
        (answer({"max_storage": 0}), ["max_storage"]),
        (answer({"max_ack_pending": Limits().hints_in_flight_max}), []),
        (answer({"max_ack_pending": Limits().hints_in_flight_max - 1}), ["max_ack_pending"]),
        (answer({"storage_max_stream_bytes": 0}), []),
        (answer({"storage_max_stream_bytes": 1}), ["storage_max_stream_bytes"]),
        (answer({"max_bytes_required": True}), ["max_bytes_required"]),
        (answer({}, level=1), ["api_level"]),
        (answer({"max_storage": 1}, level=1, streams=9), ["api_level", "max_storage"]),
    ],
)
def test_each_limit_that_is_too_low_is_named(given: dict[str, Any], what: list[str]) -> None:
    assert [item.what for item in unfit(given)] == what


def test_streams_that_are_there_are_not_made_again() -> None:
    assert unfit(answer({"max_streams": 3}, streams=3), streams_to_make=0) == []


def test_of_an_account_with_tiers_the_one_of_the_replicas_counts() -> None:
    tiers = {"R1": answer({"max_streams": 1}), "R3": answer({})}
    given = {**answer({"max_streams": 0}), "tiers": tiers}
    assert unfit(given, replicas=3) == []
    assert [item.what for item in unfit(given, replicas=1)] == ["max_streams"]
    (missing,) = unfit(given, replicas=5)
    assert (missing.what, missing.needed, missing.found) == ("tiers", "R5", ["R1", "R3"])


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("2.11.11", False),
        ("2.12.0", False),
        ("2.12.1", True),
        ("2.12.1-RC.1", True),
        ("v2.15.1", True),
        ("3.0.0", True),
        ("2.9.30", False),
        ("built by hand", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, fits: bool) -> None:
    assert [item.what for item in unfit_server(version, 100, 100)] == ([] if fits else ["version"])


def test_the_longest_message_is_a_step_or_the_metadata() -> None:
    assert bytes_needed(Limits(), 1000) == Limits().payload_bytes_max + HEADER_BYTES_MAX
    assert bytes_needed(Limits(payload_bytes_max=10), 1000) > 1000
    assert [item.what for item in unfit_server("2.15.1", 99, 100)] == ["max_payload"]
