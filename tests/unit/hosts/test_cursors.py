"""Goal: what is known of a thread never goes back and never grows beyond its bound; what the journal says of commits to
this node's store is known, of others nothing, and its end ends nothing else. Method: the parts alone, and a journal by
script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relmachine.errors import Code, RelmError
from relmachine.hosts.cursors import Cursors
from relmachine.hosts.heard import Heard
from relmachine.stream.follow import FeedMessage
from relmachine.stream.topology import FeedKind


@example(noted=[("a", 1), ("b", 1), ("a", 1), ("c", 1)], capacity=2)
@example(noted=[("a", -1)], capacity=1)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-1, 9)), max_size=60), st.integers(1, 8))
def test_a_cursor_never_goes_back_and_the_oldest_are_forgotten(noted: list[tuple[str, int]], capacity: int) -> None:
    cursors = Cursors(capacity)
    for thread, cursor in noted:
        before = cursors.reached(thread)
        cursors.note(thread, cursor)
        assert cursors.reached(thread) == max(before, cursor)
    lately = list(dict.fromkeys(thread for thread, cursor in reversed(noted) if cursor >= 0))
    for place, thread in enumerate(lately):
        assert (cursors.reached(thread) >= 0) is (place < capacity)
    assert cursors.reached("never") == -1


class ScriptedJournal:
    """A feed that says `told`, and then fails with `error`, or waits when there is none."""

    def __init__(self, told: list[tuple[str, int, str]], error: Exception | None = None) -> None:
        self.told, self.error = told, error
        self.kind: FeedKind | None = None
        self.silent = asyncio.Event()
        self.left = False

    @asynccontextmanager
    async def follow(self, kind: FeedKind) -> AsyncGenerator[AsyncIterator[FeedMessage]]:
        self.kind = kind
        try:
            yield self._messages()
        finally:
            self.left = True

    async def _messages(self) -> AsyncIterator[FeedMessage]:
        for position, (thread, sequence, store) in enumerate(self.told):
            yield FeedMessage(position, "journal", thread, sequence, b"{}", store)
        self.silent.set()
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


def listen(journal: ScriptedJournal) -> Cursors:
    cursors = Cursors(10)

    async def work() -> None:
        heard = Heard(journal, cursors, "ours")
        heard.start()
        await asyncio.wait_for(journal.silent.wait(), 10)
        await heard.close()
        assert journal.left

    asyncio.run(work())
    return cursors


def test_what_the_journal_tells_is_known() -> None:
    journal = ScriptedJournal([("a", 3, "ours"), ("b", 7, "ours"), ("a", 9, "ours")])
    cursors = listen(journal)
    assert journal.kind == "journal"
    assert (cursors.reached("a"), cursors.reached("b"), cursors.reached("c")) == (9, 7, -1)


def test_a_journal_that_cannot_be_heard_any_more_is_told_once() -> None:
    with capture_logs() as lines:
        cursors = listen(ScriptedJournal([("a", 3, "ours")], RelmError(Code.UNREACHABLE, "the stream is given up")))
    assert cursors.reached("a") == 3
    assert [line["log_level"] for line in lines] == ["warning"]


def test_what_another_store_of_the_machine_committed_is_not_known_here() -> None:
    """Each store has a consumer of its own: a hint acknowledged on the word of another store is lost to this one."""
    cursors = listen(ScriptedJournal([("a", 9, "theirs"), ("a", 3, "ours"), ("b", 7, ""), ("c", 4, "theirs")]))
    assert (cursors.reached("a"), cursors.reached("b"), cursors.reached("c")) == (3, -1, -1)


def test_a_message_that_no_node_wrote_makes_nobody_deaf() -> None:
    assert listen(ScriptedJournal([("new", -1, "ours"), ("b", 7, "ours")])).reached("b") == 7
