"""Goal: what is published again after a loss keeps each thread's order, and windows stay in their bounds. Method:
random windows and losses through the functions that choose what to send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connection import password_in
from relmachine.stream.port import Outgoing, Published
from relmachine.stream.publisher import guarded, message_id
from relmachine.stream.windows import unfinished, windows


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_of_each_thread_everything_from_its_first_loss_on_is_sent_again(items: list[tuple[str, bool]]) -> None:
    window = [Outgoing(thread, "s", b"", str(index)) for index, (thread, _) in enumerate(items)]
    results = [Published(index, False) if known else None for index, (_, known) in enumerate(items)]
    again = unfinished(window, results)
    assert again == sorted(again)
    for thread in "abc":
        places = [index for index, (name, _) in enumerate(items) if name == thread]
        lost = [index for index in places if results[index] is None]
        assert [index for index in again if index in places] == [i for i in places if lost and i >= lost[0]]


@given(st.lists(st.integers(0, 30), max_size=40))
def test_windows_hold_all_steps_in_order_within_count_and_bytes(sizes: list[int]) -> None:
    steps = [Outgoing("t", "s", b"x" * size, str(index)) for index, size in enumerate(sizes)]
    cut = list(windows(steps, StreamBounds(batch_messages_max=5, batch_bytes_max=50)))
    assert [step for window in cut for step in window] == steps
    for window in cut:
        assert 1 <= len(window) <= 5
        assert sum(len(step.body) for step in window) <= 50


def test_a_message_id_names_thread_and_body() -> None:
    ids = {message_id(thread, body) for thread in ("a", "b") for body in (b"1", b"2")}
    assert len(ids) == 4
    assert message_id("a", b"1") == message_id("a", b"1")


def test_the_id_on_the_stream_is_of_the_login() -> None:
    one = message_id("a", b"1")
    assert len({one, guarded(one, "first"), guarded(one, "second")}) == 3
    assert guarded(one, "") == one


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("nats://core:s3-c_ret@127.0.0.1:4222", "s3-c_ret"),
        ("nats://127.0.0.1:1,nats://core:one@127.0.0.1:2, nats://core:two@h:3", "one"),
        ("nats://token@127.0.0.1:4222", ""),
        ("127.0.0.1:4222", ""),
    ],
)
def test_the_password_is_read_out_of_an_address(address: str, password: str) -> None:
    assert password_in(address) == password
