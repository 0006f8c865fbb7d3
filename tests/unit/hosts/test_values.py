"""Goal: folded values are read once and then grow with what is committed, and are never used at another head. Method:
a store that counts what it is asked, and proposals that move a thread's head."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.hosts.values import HotValues
from relmachine.kernel.event_rows import ContributionRow
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.machine.plan import Plan


class Amount(BaseModel):
    """Payload."""

    amount: float


def plan() -> Plan:
    made = Machine("sums", version="1")
    total, tags = made.field("total", float, reducer="sum"), made.field("tags", str, reducer="union")

    @made.process(writes=[total, tags])
    def add(step: Amount, view: View) -> Section:
        return Section({"total": step.amount})

    return made.plan({})


class CountingStore:
    """Contributions by thread; keeps what it was asked."""

    def __init__(self, held: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self.held, self.asked = held, []  # type: ignore[var-annotated]

    async def contributions(self, thread: str, fields: Sequence[str]) -> Mapping[str, Sequence[str]]:
        self.asked.append((thread, tuple(fields)))
        return {name: self.held[thread].get(name, ()) for name in fields}


def at(state: ThreadState, head: str, cursor: int) -> ThreadState:
    return replace(state, head=head, cursor=cursor)


def moved(before: ThreadState, after: ThreadState, *rows: tuple[str, str]) -> SimpleNamespace:
    return SimpleNamespace(
        before=before, after=after, contributions=[ContributionRow("e", name, text) for name, text in rows]
    )


def test_values_are_read_once_and_grow_with_commits() -> None:
    async def work() -> None:
        the_plan = plan()
        first = at(initial_state(the_plan, "a"), "h1", 5)
        second = at(first, "h2", 7)
        store = CountingStore({"a": {"total": ["1.0", "2.0"]}})
        hot = HotValues(the_plan, store, 10)  # type: ignore[arg-type]
        fields = frozenset({"total", "tags"})
        found = (await hot.load({"a": (first, fields)}))["a"]
        assert {name: one.value() for name, one in found.items()} == {"total": 3.0}
        hot.advance(moved(first, second, ("total", "4.0"), ("tags", '"x"')))  # type: ignore[arg-type]
        found = (await hot.load({"a": (second, frozenset({"total"}))}))["a"]
        assert {name: one.value() for name, one in found.items()} == {"total": 7.0}
        found = (await hot.load({"a": (second, fields)}))["a"]
        assert found["tags"].value() == ["x"]
        assert store.asked == [("a", ("tags", "total"))]

    asyncio.run(work())


def test_values_of_another_head_are_read_again() -> None:
    async def work() -> None:
        the_plan, fields = plan(), frozenset({"total"})
        first = at(initial_state(the_plan, "a"), "h1", 5)
        store = CountingStore({"a": {"total": ["1.0"]}})
        hot = HotValues(the_plan, store, 10)  # type: ignore[arg-type]
        await hot.load({"a": (first, fields)})
        await hot.load({"a": (at(first, "elsewhere", 9), fields)})
        hot.advance(moved(first, at(first, "h2", 6), ("total", "5.0")))  # type: ignore[arg-type]
        await hot.load({"a": (at(first, "h2", 6), fields)})
        hot.drop("a")
        await hot.load({"a": (at(first, "h2", 6), fields)})
        assert len(store.asked) == 4

    asyncio.run(work())


def test_no_more_threads_are_kept_than_allowed_and_new_ones_are_not_asked_for() -> None:
    async def work() -> None:
        the_plan, fields = plan(), frozenset({"total"})
        store = CountingStore({name: {"total": ["1.0"]} for name in "ab"})
        hot = HotValues(the_plan, store, 1)  # type: ignore[arg-type]
        states = {name: at(initial_state(the_plan, name), f"h{name}", 1) for name in "ab"}
        for name in "aba":
            await hot.load({name: (states[name], fields)})
        assert [thread for thread, _ in store.asked] == ["a", "b", "a"]
        assert (await hot.load({"new": (initial_state(the_plan, "new"), fields)}))["new"] == {}
        assert len(store.asked) == 3

    asyncio.run(work())
