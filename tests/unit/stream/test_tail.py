"""Goal: the tail answers a read only when the answer is what the stream would give, and stays in its bounds. Method:
random deliveries, repeats, gaps and finished messages against a plain list of the whole stream."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from sys import getsizeof

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmachine.kernel.candidate import Message
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.tail import (
    CUT_OVERHEAD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    TEXT_OVERHEAD_BYTES,
    THREAD_OVERHEAD_BYTES,
    Tail,
)

THREADS = "abc"
BODY = 10
TEXT = TEXT_OVERHEAD_BYTES + 1
MESSAGE = MESSAGE_OVERHEAD_BYTES + getsizeof(b"x" * BODY) + 2 * TEXT
THREAD = THREAD_OVERHEAD_BYTES + TEXT
CUT = CUT_OVERHEAD_BYTES + TEXT


def message(sequence: int, thread: str) -> Message:
    return Message(sequence, thread, "s", b"x" * BODY)


@settings(deadline=None)
@given(
    log=st.lists(st.sampled_from(THREADS), min_size=1, max_size=40),
    data=st.data(),
    bytes_max=st.sampled_from([0, CUT, 3 * (MESSAGE + THREAD), 1_000_000]),
    threads_max=st.sampled_from([1, 100]),
)
def test_an_answer_is_complete_up_to_the_newest_delivery(
    log: list[str], data: st.DataObject, bytes_max: int, threads_max: int
) -> None:
    stream = [message(number, thread) for number, thread in enumerate(log, 1)]
    tail = Tail(StreamBounds(tail_bytes_max=bytes_max, tail_threads_max=threads_max))
    newest = 0
    for _ in range(data.draw(st.integers(1, 40))):
        jump = data.draw(st.sampled_from([1, 1, 1, 1, 2, -1]))
        newest_next = min(max(newest + jump, 1), len(stream))
        tail.extend(stream[newest_next - 1])
        newest = max(newest, newest_next)
        if data.draw(st.booleans()):
            tail.done(data.draw(st.integers(1, newest)))
        if newest < len(stream) and data.draw(st.booleans()):
            newest += 1
            tail.pass_over(newest)
            stream[newest - 1] = message(newest, "nobody")
        assert tail.bytes <= bytes_max
        thread = data.draw(st.sampled_from(THREADS))
        after, limit = data.draw(st.integers(0, newest)), data.draw(st.integers(1, 5))
        answer = tail.read(thread, after, limit)
        if answer is not None:
            assert answer == [m for m in stream[:newest] if m.thread == thread and m.sequence > after][:limit]


def test_it_answers_what_was_delivered_from_the_start_and_nothing_before() -> None:
    tail = Tail(StreamBounds())
    assert tail.read("a", 0, 10) is None, "nothing delivered yet: the stream may hold anything"
    for sequence in (5, 6, 7):
        tail.extend(message(sequence, "a" if sequence != 6 else "b"))
    assert tail.read("a", 3, 10) is None
    assert [m.sequence for m in tail.read("a", 4, 10) or ()] == [5, 7]
    tail.extend(message(9, "b"))
    assert tail.read("a", 7, 10) is None, "8 may be a's"
    assert [m.sequence for m in tail.read("b", 8, 10) or ()] == [9]


def test_finished_messages_leave_and_later_reads_still_answer() -> None:
    tail = Tail(StreamBounds())
    for sequence in range(1, 101):
        tail.extend(message(sequence, "a"))
    for sequence in range(2, 100):
        tail.done(sequence)
    assert tail.bytes == 100 * MESSAGE + THREAD, "1 is in hand still"
    tail.done(1)
    assert tail.bytes == MESSAGE + THREAD + CUT
    assert [m.sequence for m in tail.read("a", 99, 10) or ()] == [100]
    assert tail.read("a", 98, 10) is None


def test_forgetting_where_a_thread_was_cut_makes_it_unknown_not_short() -> None:
    tail = Tail(StreamBounds(tail_threads_max=1))
    for sequence, thread in enumerate("aba", 1):
        tail.extend(message(sequence, thread))
    tail.done(1)
    tail.done(2)
    assert tail.read("a", 0, 10) is None
    assert [m.sequence for m in tail.read("a", 1, 10) or ()] == [3]


def test_a_thread_in_hand_keeps_no_message_of_another() -> None:
    tail = Tail(StreamBounds())
    for sequence in range(1, 101):
        tail.extend(message(sequence, "a" if sequence == 1 else "b"))
    for sequence in range(2, 101):
        tail.done(sequence)
    assert tail.bytes == MESSAGE + THREAD + CUT
    assert [m.sequence for m in tail.read("a", 0, 10) or ()] == [1]


def test_a_message_of_no_thread_leaves_no_hole() -> None:
    tail = Tail(StreamBounds())
    tail.extend(message(1, "a"))
    tail.pass_over(2)
    tail.extend(message(3, "a"))
    assert [m.sequence for m in tail.read("a", 0, 10) or ()] == [1, 3]


def _of_one_thread(number: int) -> Message:
    return Message(number, "".join("thread"), "".join("step"), b"%d" % number)


def _of_many_threads(number: int) -> Message:
    return Message(number, f"thread{number % 5000}", "".join("step"), b"%d" % number)


def _of_threads_of_their_own(number: int) -> Message:
    return Message(number, f"thread{number}", "".join("step"), b"%d" % number)


@pytest.mark.parametrize("made", [_of_one_thread, _of_many_threads, _of_threads_of_their_own])
@pytest.mark.parametrize(("finished", "count"), [(1, 11_000), (2, 11_000), (100, 11_500)])
def test_it_takes_no_more_memory_than_it_says(made: Callable[[int], Message], finished: int, count: int) -> None:
    """Of each `finished` messages all but the first are done: with 1 none, with 100 nearly all."""
    bounds = StreamBounds(tail_bytes_max=8 * 1024 * 1024, tail_threads_max=5500)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tail = Tail(bounds)
        for number in range(1000, 1000 + count):
            tail.extend(made(number))
            if number % finished:
                tail.done(number)
            if number % 500 == 0:
                taken = tracemalloc.get_traced_memory()[0] - before
                assert taken <= tail.bytes + 4096, f"{taken} bytes taken, {tail.bytes} told"
        assert tail.bytes <= bounds.tail_bytes_max
    finally:
        tracemalloc.stop()


def test_texts_that_python_keeps_twice_are_counted_the_same_when_they_leave() -> None:
    tail = Tail(StreamBounds())
    messages = [Message(sequence, f"thread-é{sequence}", "é" * 900 + str(sequence), b"") for sequence in range(1, 20)]
    for each in messages:
        tail.extend(each)
        each.step_token.encode()  # from here on CPython keeps the UTF-8 form too
        each.thread.encode()
        tail.done(each.sequence)
    empty = Tail(StreamBounds())
    empty.extend(message(1, "a"))
    assert tail.bytes == len(messages) * (CUT_OVERHEAD_BYTES + TEXT_OVERHEAD_BYTES) + sum(
        4 * len(each.thread) + len(each.thread.encode()) for each in messages
    )
    sizes = [getsizeof(each.step_token) for each in messages]
    assert all(
        size <= TEXT_OVERHEAD_BYTES + 6 * len(each.step_token) for size, each in zip(sizes, messages, strict=True)
    )
