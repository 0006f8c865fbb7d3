"""What a store decided, thread by thread and without the places on the stream: equal for every store that decided the
same steps. And what the feeds of a machine say, checked against the store message by message."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from relmachine.store import reading
from relmachine.store.port import Reads
from relmachine.stream.follow import FeedMessage, FeedReader
from relmachine.stream.topology import FeedKind

_THREADS = """
SELECT t.thread, t.seq, t.head, h.section_digest
FROM threads t LEFT JOIN histories h ON h.history_id = t.head
"""
_EVENTS = "SELECT thread, seq, event_id, history_id FROM thread_events"
_REJECTIONS = "SELECT thread, seq, step_key, code, gate, sentence FROM rejections"
_RECEIPTS = "SELECT thread, seq, step_key, step, payload_digest FROM receipts"
_TRANSITIONS = "SELECT thread, seq, claim, kind, history_before, history_after FROM transitions"


@dataclass
class ThreadContents:
    """One thread. Everything is in stream order; `section` is the digest of the section at its head."""

    head: str = ""
    section: str | None = None
    cursor: int = 0
    events: list[tuple[int, str, str]] = field(default_factory=list)
    rejections: list[tuple[object, ...]] = field(default_factory=list)
    receipts: list[tuple[object, ...]] = field(default_factory=list)
    transitions: list[tuple[object, ...]] = field(default_factory=list)

    def meaning(self) -> tuple[object, ...]:
        """All of it without sequences."""
        rows = (self.events, self.rejections, self.receipts, self.transitions)
        return (self.head, self.section, *([row[1:] for row in some] for some in rows))


@dataclass(frozen=True)
class Contents:
    """A store: its threads and its figures."""

    threads: Mapping[str, ThreadContents]
    figures: Mapping[str, object]

    @property
    def decided(self) -> list[tuple[str, int]]:
        """Thread and sequence of every step that became an event or was refused, each as often as it is there."""
        return [
            (thread, row[0])
            for thread, found in self.threads.items()
            for row in cast("list[tuple[int, ...]]", [*found.events, *found.rejections])
        ]


async def contents(store: Reads) -> Contents:
    """Everything that the store decided."""
    threads: dict[str, ThreadContents] = defaultdict(ThreadContents)
    for thread, seq, head, section in (await store.select(_THREADS)).rows:
        one = threads[str(thread)]
        one.cursor, one.head, one.section = cast(int, seq), str(head), cast("str | None", section)
    for name, sql in (
        ("events", _EVENTS),
        ("rejections", _REJECTIONS),
        ("receipts", _RECEIPTS),
        ("transitions", _TRANSITIONS),
    ):
        for thread, *row in sorted((await store.select(sql)).rows):  # type: ignore[type-var]
            getattr(threads[str(thread)], name).append(tuple(row))
    return Contents(dict(threads), await reading.figures(store))


def check_same(found: Contents, expected: Contents) -> None:
    """The same events, histories, heads, section digests, refusals, receipts, transitions and figures."""
    different = [
        thread
        for thread in sorted({*found.threads, *expected.threads})
        if thread not in found.threads
        or thread not in expected.threads
        or found.threads[thread].meaning() != expected.threads[thread].meaning()
    ]
    assert different == [], f"{len(different)} threads differ, the first: {_difference(found, expected, different[0])}"
    assert found.figures == expected.figures


def _difference(found: Contents, expected: Contents, thread: str) -> str:
    return f"{thread}\nfound    {found.threads.get(thread)}\nexpected {expected.threads.get(thread)}"


def check_settled_once(found: Contents, acknowledged: Iterable[tuple[str, int]]) -> None:
    """Every acknowledged step was decided, once; nothing else was, and no event is there twice."""
    decided, asked = found.decided, set(acknowledged)
    assert len(decided) == len(set(decided)), "a step was decided twice"
    assert set(decided) == asked, f"lost {sorted(asked - set(decided))[:5]}, strange {sorted(set(decided) - asked)[:5]}"
    events = [event for one in found.threads.values() for _, event, _ in one.events]
    assert len(events) == len(set(events)), "an event is there twice"
    receipts = sum(len(one.receipts) for one in found.threads.values())
    assert receipts == len(asked), f"{receipts} receipts for {len(asked)} steps"


async def feed(feeds: FeedReader, kind: FeedKind) -> dict[str, list[FeedMessage]]:
    """The messages of a feed by thread, in the order of the feed."""
    found: dict[str, list[FeedMessage]] = defaultdict(list)
    position = 0
    while page := await feeds.page(kind, "*", position):
        for message in page:
            found[message.thread].append(message)
        position = page[-1].position
    return found


async def check_feeds(feeds: FeedReader, stored: Contents) -> int:
    """Journal, out and rejected say what the store says: every step once, in order, without a gap; the messages read.

    `stored` must have nothing left in its outbox.
    """
    journal, out, rejected = [await feed(feeds, kind) for kind in ("journal", "out", "rejected")]
    for thread, one in stored.threads.items():
        _check_journal(journal.pop(thread, []), one)
        transitions = [
            (item["seq"], item["claim"], item["kind"], item["history_before"], item["history_after"])
            for item in _items(out.pop(thread, []), "transitions")
        ]
        # One step may settle several claims: the feed has them in the plan's order, the store in no order.
        assert sorted(transitions) == one.transitions, f"out of {thread}"
        assert [item[0] for item in transitions] == [row[0] for row in one.transitions], f"order of out of {thread}"
        refused = [
            (item["seq"], item["step_key"], item["code"], item["gate"], item["sentence"])
            for item in _items(rejected.pop(thread, []), "rejections")
        ]
        assert refused == one.rejections, f"rejected of {thread}"
    strange = {**journal, **out, **rejected}
    assert strange == {}, f"messages of threads that the store does not have: {sorted(strange)[:5]}"
    return sum(len(one.events) + len(one.rejections) for one in stored.threads.values())


def _check_journal(messages: Sequence[FeedMessage], one: ThreadContents) -> None:
    frames = [orjson.loads(message.body) for message in messages]
    ends = [(frame["from_sequence"], frame["to_sequence"]) for frame in frames]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ends)), f"a gap or a repeat: {ends}"
    assert ends and (ends[0][0], ends[-1][1]) == (0, one.cursor), f"{ends} for a thread at {one.cursor}"
    assert frames[-1]["history"] == one.head
    outcomes = [item for frame in frames for item in frame["outcomes"]]
    told = [item["at"] for item in outcomes]
    assert told == sorted(set(told)), f"a step twice or out of order: {told}"
    committed = [(item["at"], item["event"], item["history"]) for item in outcomes if item["outcome"] == "committed"]
    assert committed == one.events
    refused = [(item["at"], item["key"], item["code"]) for item in outcomes if item["outcome"] == "refused"]
    assert refused == [row[:3] for row in one.rejections]


def _items(messages: Sequence[FeedMessage], name: str) -> list[dict[str, Any]]:
    return [item for message in messages for item in orjson.loads(message.body)[name]]
