"""Feed messages as they travel: the row's body where it fits, else a frame that says where the rest is. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

SEQUENCE_HEADER = "Relm-Sequence"
"""Stream sequence of the last step that a feed message speaks of: its identity within (feed, thread)."""

STORE_HEADER = "Relm-Store"
"""Id of the store whose commit a feed message tells of. Stores of one machine share its feeds: each message is there
once, from whichever of them was first."""

TOO_LARGE = "too large for the stream: read it from the store"
"""What a frame says that travels without its content."""


def fitted(body: bytes, bytes_max: int) -> bytes:
    """`body` if it has at most `bytes_max` bytes, else the frame without its list: `truncated` is true, `bytes` says
    how long it was, and `sentence` what to do.
    """
    if len(body) <= bytes_max:
        return body
    kept = {key: value for key, value in orjson.loads(body).items() if not isinstance(value, list)}
    return orjson.dumps({**kept, "truncated": True, "bytes": len(body), "sentence": TOO_LARGE})


def carried_sequence(headers: Mapping[str, str]) -> int:
    """The sequence that a feed message names; -1 when it names none, as a message that no node wrote."""
    named = headers.get(SEQUENCE_HEADER, "")
    return int(named) if named.isascii() and named.isdigit() else -1
