"""Goal: a feed message fits and says so when something was left out, and only a node's own names a sequence. Method:
bodies around the bound, headers as strangers write them."""

from __future__ import annotations

import orjson
import pytest

from relmachine.stream.frames import SEQUENCE_HEADER, TOO_LARGE, carried_sequence, fitted


def test_what_fits_is_the_body_itself_and_what_does_not_says_where_to_read() -> None:
    frame = {"thread": "t", "from_sequence": 1, "to_sequence": 4, "history": "ad47"}
    body = orjson.dumps({**frame, "outcomes": [{"at": 2}] * 100})
    assert fitted(body, len(body)) is body
    told = orjson.loads(fitted(body, len(body) - 1))
    assert told == {**frame, "truncated": True, "bytes": len(body), "sentence": TOO_LARGE}


@pytest.mark.parametrize(
    ("named", "sequence"), [("7", 7), ("0", 0), ("", -1), ("-3", -1), ("many", -1), ("1.5", -1), ("\u0663", -1)]
)
def test_only_a_number_is_a_sequence(named: str, sequence: int) -> None:
    assert carried_sequence({SEQUENCE_HEADER: named}) == sequence
    assert carried_sequence({}) == -1
