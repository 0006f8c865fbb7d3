"""Goal: every message has one address or none, however odd its subject, and is shown safely. Method: subjects of any
bytes that a server takes, decoded as the client decodes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.stream.addressing import THREAD_BYTES_MAX, address, escaped

_NEVER = b" \t\r\n."


def subject(thread: bytes, token: bytes = b"add") -> str:
    return (b"relm.m.step." + thread + b"." + token).decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("thread", ["piece-1", "a%20b", "\u00fc", "a\u00a0b", "a*b", "a\x00b", "\ufffd", "x" * 300])
def test_what_can_be_answered_has_an_address(thread: str) -> None:
    assert address(subject(thread.encode())) == (thread, "add")


@pytest.mark.parametrize(
    "thread", [b"\xff", b"a\x85b", b"*", b">", b"a\x0bb", b"a\x0cb", b"a\rb", b"x" * (THREAD_BYTES_MAX + 1)]
)
def test_what_nobody_could_be_answered_on_has_none(thread: bytes) -> None:
    assert address(subject(thread)) is None


def test_a_step_that_is_no_utf8_reads_as_in_a_header() -> None:
    assert address(subject(b"t", b"a\xff\xfe")) == ("t", b"a\xff\xfe".decode("utf-8", "replace"))


@given(st.binary(min_size=1, max_size=40).filter(lambda token: not set(token) & set(_NEVER)))
def test_an_address_can_be_written_and_a_log_line_read(token: bytes) -> None:
    decoded = subject(token, token)
    found = address(decoded)
    if found is not None:
        assert found[0].encode() == token
        assert found[1] == token.decode("utf-8", "replace")
    assert escaped(decoded).isascii()
    assert escaped(decoded).isprintable()
