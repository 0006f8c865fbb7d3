"""How far behind the stream everything is: each lane, the threads that lag most, and threads asked for by name.

A lane is one way through the node: steps in, and the three feeds out. What it costs does not grow with the number of
threads: a few requests, one bounded read behind the consumer's floor, and a look at each thread that is listed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from relmachine.errors import Code, RelmError
from relmachine.kernel.thread_token import check_thread, thread_label
from relmachine.store import reading
from relmachine.stream.lag import FEEDS

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits
    from relmachine.store.reading import Reads
    from relmachine.stream.lag import Backlog, FirstStep, StreamLag

FRESH_SECONDS = 1.0
"""How long an answer is given again, however many ask."""

STORE_SECONDS_MAX = 2.0
"""How long the store may take: lag matters most when it does not answer at all."""

CANDIDATES_MAX = 1_000
"""Threads with hints that are not done whose cursors the store is asked for, those with the oldest first."""

LISTED = 10
"""Threads that are listed unless more are asked for."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Lane:
    """One way through the node. Counts are messages; what only steps have is None for feeds.

    `newest` is the position of the last message in the lane's stream, `waiting` what is still to be done: for steps
    what nobody said is decided, for a feed the rows in the store that are not known to be on it (None when the store
    does not answer). `undelivered` steps lie in the stream, `unacknowledged` ones are with nodes or were handed back.
    `oldest_sequence` is the step that waits longest, `oldest_seconds` its age.
    """

    lane: Literal["steps", "journal", "out", "rejected"]
    newest: int
    waiting: int | None
    undelivered: int | None
    unacknowledged: int | None
    oldest_sequence: int | None
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class ThreadLag:
    """One thread: `behind` steps above its committed cursor are on the stream, up to sequence `newest`. The oldest of
    them and its age in seconds; None when there is none. `cursor` is None when the store does not answer.
    """

    thread: str
    label: str
    cursor: int | None
    newest: int
    behind: int
    oldest_sequence: int | None
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class InHand:
    """What one node holds in memory: hints not answered yet, threads that no round has taken, feed rows not sent. And
    how many publishers it told to come again, and how many messages of telemetry it dropped.
    """

    hints: int
    threads: int
    feed_rows: int
    publishers_deferred: int
    undecided_steps_max: int
    telemetry_shed: int


@dataclass(frozen=True, slots=True)
class Lag:
    """`threads` are those asked for, else those that lag most, the longest waiting first."""

    node: InHand
    lanes: Sequence[Lane]
    threads: Sequence[ThreadLag]


class LagView:
    """Lanes and threads of one store and its stream. Errors of every question: `unreachable` when the stream is."""

    def __init__(self, store: Reads, stream: StreamLag, limits: Limits) -> None:
        self._store, self._stream, self._limits = store, stream, limits
        self._asking = asyncio.Lock()
        self._seen: tuple[float, int, Sequence[Lane], Sequence[ThreadLag]] | None = None

    async def most(self, limit: int) -> tuple[Sequence[Lane], Sequence[ThreadLag]]:
        """The lanes, and at most `limit` threads that lag: those that wait longest among the first undecided steps of
        the stream and the hints that this node has not seen done. As of at most a second ago.

        Errors: `limit_exceeded` above `lag_threads_max`.
        """
        self._check(limit)
        async with self._asking:
            if self._seen is None or time.monotonic() > self._seen[0] + FRESH_SECONDS or limit > self._seen[1]:
                backlog = await self._stream.backlog()
                lanes, threads = await asyncio.gather(self._lanes(backlog), self._lagging(backlog, limit))
                self._seen = time.monotonic(), limit, lanes, threads
            return self._seen[2], self._seen[3][:limit]

    async def of(self, threads: Sequence[str]) -> Sequence[ThreadLag]:
        """These threads, in this order. Errors: `thread_name_invalid`; `limit_exceeded` above `lag_threads_max`."""
        self._check(len(threads))
        asked = [check_thread(thread) for thread in threads]
        cursors = await self._patiently(reading.cursors(self._store, asked))
        if cursors is None:
            backlog = await self._stream.backlog()
            return await self._lines([(thread, None, backlog.floor) for thread in asked])
        return await self._lines([(thread, cursors[thread], cursors[thread]) for thread in asked])

    def _check(self, threads: int) -> None:
        most = self._limits.lag_threads_max
        if threads > most:
            raise RelmError(Code.LIMIT_EXCEEDED, f"ask for at most {most} threads at once", lag_threads_max=most)

    async def _lanes(self, backlog: Backlog) -> list[Lane]:
        ends, unsent = await asyncio.gather(
            self._stream.ends(), self._patiently(reading.unsent_by_feed(self._store, self._limits.lag_rows_max))
        )
        first = backlog.floor + 1 if backlog.undecided and backlog.floor < backlog.newest else None
        rows: Mapping[str, reading.UnsentRows] = unsent or {}
        oldest = [first, *(rows[kind].oldest if kind in rows else None for kind in FEEDS)]
        ages = await asyncio.gather(*(self._age(sequence) for sequence in oldest))
        steps = Lane(
            "steps", backlog.newest, backlog.undecided, backlog.undelivered, backlog.unacknowledged, first, ages[0]
        )
        feeds = [
            Lane(kind, ends[kind], _rows(kind, unsent), None, None, sequence, age)
            for kind, sequence, age in zip(FEEDS, oldest[1:], ages[1:], strict=True)
        ]
        return [steps, *feeds]

    async def _age(self, sequence: int | None) -> float | None:
        at = None if sequence is None else await self._stream.published_at(sequence)
        return None if at is None else _age(at)

    async def _lagging(self, backlog: Backlog, limit: int) -> list[ThreadLag]:
        if not limit:
            return []
        found = self._stream.open_hints.by_thread()
        if backlog.undecided:
            for thread, sequences in (await self._stream.first_above(backlog.floor)).items():
                found[thread] = sorted({*found.get(thread, ()), *sequences})
        oldest = sorted(found, key=lambda thread: found[thread][0])[:CANDIDATES_MAX]
        cursors = await self._patiently(reading.cursors(self._store, oldest))
        if cursors is None:
            return await self._lines([(thread, None, found[thread][0] - 1) for thread in oldest[:limit]])
        self._stream.open_hints.forget(cursors)
        waiting = [(first, thread) for thread in oldest if (first := _above(found[thread], cursors[thread]))]
        longest = [thread for _, thread in sorted(waiting)[:limit]]
        lines = await self._lines([(thread, cursors[thread], cursors[thread]) for thread in longest])
        return sorted((line for line in lines if line.behind), key=lambda line: line.oldest_sequence or 0)

    async def _lines(self, asked: Sequence[tuple[str, int | None, int]]) -> list[ThreadLag]:
        """For each (thread, cursor as the store says it, sequence above which to count). Counting costs the server
        more than looking at the end of a thread, so only threads that are behind are counted.
        """
        ends = await self._stream.newest_of([thread for thread, _, _ in asked])
        behind = [(thread, above) for (thread, _, above), end in zip(asked, ends, strict=True) if end > above]
        steps = iter(await self._stream.first_steps(behind))
        return [
            _line(thread, cursor, end, next(steps) if end > above else None)
            for (thread, cursor, above), end in zip(asked, ends, strict=True)
        ]

    async def _patiently(self, answer: Awaitable[_T]) -> _T | None:
        """What the store says; None when it does not in time."""
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                return await answer
        except TimeoutError:
            return None
        except RelmError as error:
            if error.code is not Code.UNREACHABLE:
                raise
            return None


def _above(sequences: Sequence[int], cursor: int) -> int | None:
    return next((sequence for sequence in sequences if sequence > cursor), None)


def _rows(kind: str, unsent: Mapping[str, reading.UnsentRows] | None) -> int | None:
    if unsent is None:
        return None
    return unsent[kind].rows if kind in unsent else 0


def _line(thread: str, cursor: int | None, newest: int, first: FirstStep | None) -> ThreadLag:
    if first is None:
        return ThreadLag(thread, thread_label(thread), cursor, newest, 0, None, None)
    return ThreadLag(thread, thread_label(thread), cursor, newest, first.steps, first.sequence, _age(first.at))


def _age(at: float) -> float:
    """Seconds since then by this machine's clock; the stream server's may be ahead of it."""
    return max(0.0, round(time.time() - at, 3))
