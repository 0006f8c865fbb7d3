"""Goal: what is known of a thread never goes back and never grows beyond its bound; what other nodes' journal says is
known, and its end ends nothing else. Method: the parts alone, and a journal by script."""

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
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9)), max_size=60), st.integers(1, 8))
def test_a_cursor_never_goes_back_and_the_oldest_are_forgotten(noted: list[tuple[str, int]], capacity: int) -> None:
    cursors = Cursors(capacity)
    for thread, cursor in noted:
        before = cursors.reached(thread)
        cursors.note(thread, cursor)
        assert cursors.reached(thread) == max(before, cursor)
    lately = list(dict.fromkeys(thread for thread, _ in reversed(noted)))
    for place, thread in enumerate(lately):
        assert (cursors.reached(thread) >= 0) is (place < capacity)
    assert cursors.reached("never") == -1


class ScriptedJournal:
    """A feed that says `told`, and then fails with `error`, or waits when there is none."""

    def __init__(self, told: list[tuple[str, int]], error: Exception | None = None) -> None:
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
        for position, (thread, sequence) in enumerate(self.told):
            yield FeedMessage(position, "journal", thread, sequence, b"{}")
        self.silent.set()
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


def listen(journal: ScriptedJournal) -> Cursors:
    cursors = Cursors(10)

    async def work() -> None:
        heard = Heard(journal, cursors)
        heard.start()
        await asyncio.wait_for(journal.silent.wait(), 10)
        await heard.close()
        assert journal.left

    asyncio.run(work())
    return cursors


def test_what_the_journal_tells_is_known() -> None:
    journal = ScriptedJournal([("a", 3), ("b", 7), ("a", 9)])
    cursors = listen(journal)
    assert journal.kind == "journal"
    assert (cursors.reached("a"), cursors.reached("b"), cursors.reached("c")) == (9, 7, -1)


def test_a_journal_that_cannot_be_heard_any_more_is_told_once() -> None:
    with capture_logs() as lines:
        cursors = listen(ScriptedJournal([("a", 3)], RelmError(Code.UNREACHABLE, "the stream is given up")))
    assert cursors.reached("a") == 3
    assert [line["log_level"] for line in lines] == ["warning"]
