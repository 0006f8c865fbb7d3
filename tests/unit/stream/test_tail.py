"""Goal: the tail answers a read only when the answer is what the stream would give, and stays in its bounds. Method:
random deliveries, repeats, gaps and finished messages against a plain list of the whole stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relmachine.kernel.envelope import Message
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.tail import Tail

THREADS = "abc"
BODY = 10


def message(sequence: int, thread: str) -> Message:
    return Message(sequence, thread, "s", b"x" * BODY)


@given(
    log=st.lists(st.sampled_from(THREADS), min_size=1, max_size=40),
    data=st.data(),
    bytes_max=st.sampled_from([3 * BODY, 1000]),
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
    assert tail.bytes == 100 * BODY, "1 is in hand still"
    tail.done(1)
    assert tail.bytes == BODY
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
