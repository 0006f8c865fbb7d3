"""Goal: an open run is in the hands of one node, whatever happens to nodes. Method: runners side by side over one table
of runs, attempts that wait until told, a question to the others that a frozen one does not answer, and places that give
runs to another runner, refuse, or lose them: the same tests for both adapters' ways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relmachine.hosts import run_loop, run_tasks
from relmachine.hosts import runner as runner_module
from relmachine.hosts import sweep as module
from relmachine.hosts.run_places import Carry, Here, Key
from relmachine.hosts.run_tasks import RunTasks
from relmachine.hosts.runner import Runner
from relmachine.kernel.answer import Reason
from relmachine.kernel.lane import CANCEL
from relmachine.kernel.limits import Limits

KEY: Key = ("t", 5)
DEADLINE_SECONDS = 10.0


@dataclass
class Table:
    """The runs of a store, and what became of them."""

    opened: set[Key] = field(default_factory=set[Key])
    ended: dict[Key, Reason] = field(default_factory=dict[Key, Reason])
    began: list[tuple[str, Key]] = field(default_factory=list[tuple[str, Key]])
    left: list[Key] = field(default_factory=list[Key])
    looked: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def standing(self, keys: Collection[Key]) -> dict[Key, Any]:
        return {
            key: SimpleNamespace(open=_run(key), ended_at=self.ended.get(key)) for key in keys if key in self.opened
        }

    async def awake(self, limit: int, after: Key) -> list[Key]:
        self.looked += 1
        return [key for key in sorted(self.opened - self.ended.keys()) if key > after][:limit]


def _run(key: Key) -> Any:
    return SimpleNamespace(candidate=SimpleNamespace(thread=key[0], sequence=key[1]), attempt=1, cancelled=False)


@dataclass
class Attempts:
    """Attempts of the node `name`."""

    name: str
    table: Table
    failing: set[Key] = field(default_factory=set[Key])
    carrier: Any = field(default_factory=lambda: SimpleNamespace(close=_nothing))

    async def prepare(self, run: Any) -> Any:
        key = (run.candidate.thread, run.candidate.sequence)
        if key in self.failing:
            raise ConnectionError("not now")

        async def carry_out() -> Reason:
            self.table.began.append((self.name, key))
            try:
                while not self.table.release.is_set():  # noqa: ASYNC110 - the event is of another loop
                    await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                self.table.left.append(key)
                raise
            return Reason.DONE

        return SimpleNamespace(carry_out=carry_out, cancelled=lambda: Reason.CANCELLED)

    async def publish(self, run: Any, answer: Reason) -> None:
        self.table.ended.setdefault((run.candidate.thread, run.candidate.sequence), answer)


async def _nothing() -> None: ...


@dataclass
class Line:
    """Between the nodes: those that are frozen do not answer."""

    nodes: dict[str, Callable[[Key, bool], bool]] = field(default_factory=dict[str, Callable[[Key, bool], bool]])
    frozen: set[str] = field(default_factory=set[str])

    def of(self, name: str) -> Any:
        async def start(holds: Callable[[Key, bool], bool]) -> None:
            self.nodes[name] = holds

        async def held(keys: Collection[Key]) -> frozenset[Key]:
            others = [(other, holds) for other, holds in self.nodes.items() if other not in {name, *self.frozen}]
            found = frozenset(key for key in keys if any(holds(key, name < other) for other, holds in others))
            await asyncio.sleep(0.01)  # an answer is of when it was given
            return found

        return SimpleNamespace(start=start, held=held, close=_nothing)


@dataclass
class Given:
    """Places that give every run to the node `to`, or lose it."""

    carries: dict[str, Carry]
    name: str
    to: str | None

    async def start(self, carry: Carry) -> None:
        self.carries[self.name] = carry

    async def place(self, run: Any) -> bool:
        if self.to is not None:
            key = (run.candidate.thread, run.candidate.sequence)
            self.tasks = asyncio.ensure_future(self.carries[self.to](key))
        return True

    async def close(self) -> None: ...


class Nodes:
    """Runners `a` and `b` of one store; `places` says where those of `a` go."""

    def __init__(self, places: str, limits: Limits) -> None:
        self.table, self.line, carries = Table(), Line(), dict[str, Carry]()
        ways = {"here": Here, "there": lambda: Given(carries, "a", "b"), "lost": lambda: Given(carries, "a", None)}
        self.runners = {
            name: Runner(
                cast(Any, self.table),
                cast(Any, Attempts(name, self.table)),
                limits,
                self.line.of(name),
                cast(Any, ways[places]() if name == "a" else Given(carries, "b", "b")),
            )
            for name in "ab"
        }

    def opened(self, *keys: Key) -> None:
        """A turn at `a` opened these runs."""
        self.table.opened.update(keys)
        attempts = [SimpleNamespace(thread=thread, seq=seq) for thread, seq in keys]
        self.runners["a"].follow([cast(Any, SimpleNamespace(run=SimpleNamespace(ends=(), attempts=attempts)))])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110 - a condition of several tasks
                await asyncio.sleep(0.005)


def on_nodes(places: str, work: Callable[[Nodes], Awaitable[None]], limits: Limits | None = None) -> None:
    async def run() -> None:
        nodes = Nodes(places, limits or Limits())
        for runner in nodes.runners.values():
            await runner.start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await work(nodes)
        finally:
            for runner in nodes.runners.values():
                await runner.close()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.02)


@pytest.mark.parametrize("places", ["here", "there"])
def test_a_run_is_carried_out_once_while_others_look(places: str) -> None:
    async def work(nodes: Nodes) -> None:
        keys = [("t", number) for number in range(8)]
        nodes.opened(*keys)
        await nodes.until(lambda: len(nodes.table.began) == len(keys))
        for key in keys:
            await nodes.runners["b"].take(key) if places == "here" else None
        nodes.table.release.set()
        await nodes.until(lambda: nodes.table.ended == dict.fromkeys(keys, Reason.DONE))
        assert Counter(nodes.table.began) == dict.fromkeys([({"here": "a", "there": "b"}[places], k) for k in keys], 1)

    on_nodes(places, work)


@pytest.mark.parametrize("places", ["here", "there"])
def test_what_a_silent_node_had_in_hand_goes_to_another(places: str) -> None:
    async def work(nodes: Nodes) -> None:
        nodes.opened(KEY)
        await nodes.until(lambda: len(nodes.table.began) == 1)
        nodes.line.frozen.add(nodes.table.began[0][0])
        await nodes.until(lambda: len(nodes.table.began) == 2)
        assert {name for name, _ in nodes.table.began} == {"a", "b"}
        nodes.table.release.set()
        await nodes.until(lambda: nodes.table.ended == {KEY: Reason.DONE})

    on_nodes(places, work)


def test_a_run_whose_place_was_lost_is_found_by_one_node() -> None:
    async def work(nodes: Nodes) -> None:
        nodes.opened(KEY)
        nodes.table.release.set()
        await nodes.until(lambda: nodes.table.ended == {KEY: Reason.DONE})
        assert len(nodes.table.began) == 1

    on_nodes("lost", work)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_two_nodes_that_want_a_run_one_begins(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", DEADLINE_SECONDS)

    async def work(nodes: Nodes) -> None:
        nodes.table.opened.add(KEY)
        takes = [asyncio.ensure_future(nodes.runners[name].take(KEY)) for name in order]
        await nodes.until(lambda: bool(nodes.table.began))
        await nodes.until(lambda: sum(take.done() for take in takes) == 1)
        nodes.table.release.set()
        await asyncio.wait(takes)
        assert nodes.table.began == [("a", KEY)]

    on_nodes("here", work)


def test_a_run_on_its_way_to_a_node_is_not_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", DEADLINE_SECONDS)

    async def work(nodes: Nodes) -> None:
        await nodes.until(lambda: nodes.table.looked == 2)
        nodes.opened(KEY)
        await nodes.until(lambda: not nodes.runners["a"].running)
        await nodes.runners["b"]._adopt()
        assert not nodes.runners["b"].running
        await nodes.runners["b"]._adopt()
        assert nodes.runners["b"].running

    on_nodes("lost", work)


@pytest.mark.parametrize("places", ["here", "there"])
def test_a_cancelled_run_answers_wherever_it_is(places: str) -> None:
    async def work(nodes: Nodes) -> None:
        nodes.opened(KEY)
        await nodes.until(lambda: len(nodes.table.began) == 1)
        for runner in nodes.runners.values():
            runner.heard("t", CANCEL, None)
        await nodes.until(lambda: nodes.table.ended == {KEY: Reason.CANCELLED})

    on_nodes(places, work)


def test_a_run_that_is_cancelled_before_it_begins_answers_too() -> None:
    async def work(nodes: Nodes) -> None:
        waiting = ("u", 6)
        nodes.opened(KEY)
        await nodes.until(lambda: len(nodes.table.began) == 1)
        nodes.opened(waiting)
        nodes.runners["a"].cancel("u", 77)
        await nodes.until(lambda: waiting in nodes.runners["a"]._tasks)
        nodes.runners["a"].cancel(*waiting)
        await nodes.until(lambda: nodes.table.ended == {waiting: Reason.CANCELLED})
        assert nodes.table.began == [("a", KEY)]

    on_nodes("here", work, Limits(runs_in_flight_max=1))


def test_no_run_waits_for_ever_behind_some_that_nobody_can_carry_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "ADOPTED_MAX", 2)

    async def work() -> None:
        table = Table()
        keys = [("t", number) for number in range(6)]
        attempts = Attempts("a", table, set(keys[:3]))
        runner = Runner(cast(Any, table), cast(Any, attempts), Limits())
        table.release.set()
        table.opened.update(keys)
        await runner.start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while table.ended != dict.fromkeys(keys[3:], Reason.DONE):
                    assert runner.running <= 2
                    await asyncio.sleep(0.005)
        finally:
            await runner.close()

    asyncio.run(work())


@pytest.mark.parametrize("places", ["here", "lost"])
def test_a_node_has_no_more_in_hand_than_it_has_room_for(places: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of runs that are opened in one turn a sweep brings the rest, each sweep as many as it looks at."""
    monkeypatch.setattr(runner_module, "ADOPTED_MAX", 3)
    monkeypatch.setattr(runner_module, "LOOKED_AT_MAX", 2)

    async def work(nodes: Nodes) -> None:
        keys = [("t", number) for number in range(11)]
        nodes.opened(*keys)
        assert nodes.runners["a"].running == 3
        nodes.table.release.set()
        while nodes.table.ended != dict.fromkeys(keys, Reason.DONE):
            assert all(runner.running <= 3 for runner in nodes.runners.values())
            await asyncio.sleep(0.001)

    on_nodes(places, work)


def test_a_run_that_nobody_has_is_found_behind_many_that_somebody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "LOOKED_AT_MAX", 2)

    async def work(nodes: Nodes) -> None:
        keys = [("t", number) for number in range(7)]
        nodes.opened(*keys[:6])
        await nodes.until(lambda: len(nodes.table.began) == 6)
        nodes.table.opened.add(keys[6])
        await nodes.until(lambda: len(nodes.table.began) == 7)

    on_nodes("here", work)


@pytest.mark.parametrize("hangs", ["a client", "the loop"])
def test_closing_waits_for_nobody_for_ever(hangs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (run_loop, run_tasks):
        monkeypatch.setattr(name, "CLOSE_SECONDS_MAX", 0.05)
    free = Event()

    async def close() -> None:
        if hangs == "the loop":
            free.wait()
        await asyncio.Event().wait()

    async def work() -> None:
        table = Table()
        attempts = Attempts("a", table, carrier=SimpleNamespace(close=close))
        runner = Runner(cast(Any, table), cast(Any, attempts), Limits())
        await runner.start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await runner.close()
        finally:
            free.set()
            loop = runner._tasks._loop
            loop._thread.join(DEADLINE_SECONDS)
            loop.close()

    asyncio.run(work())


def on_tasks(work: Callable[[Table, RunTasks], Awaitable[None]]) -> Table:
    """`work` with a run that is in hand, and that two more were asked to begin; closed afterwards."""

    async def run() -> Table:
        table = Table(opened={KEY})
        tasks = RunTasks(cast(Any, table), cast(Any, Attempts("a", table)), Limits())
        tasks.start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                tasks.begin(KEY)
                await until(lambda: len(table.began) == 1)
                assert tasks.begin(KEY) is tasks.begin(KEY), "one is enough to look again"
                await asyncio.sleep(0)  # it waits for the first
                await work(table, tasks)
        finally:
            await tasks.close()
            assert [task for task in asyncio.all_tasks() if task.get_name() == "run"] == []
        return table

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a condition of another loop
        await asyncio.sleep(0.005)


def test_of_a_run_in_hand_that_is_begun_again_the_model_is_cancelled() -> None:
    async def work(table: Table, tasks: RunTasks) -> None:
        tasks.cancel(*KEY)
        await until(lambda: not tasks and table.left == [KEY])
        assert (table.ended, len(table.began)) == ({KEY: Reason.CANCELLED}, 1)

    on_tasks(work)


def test_of_a_run_in_hand_that_ended_elsewhere_nothing_is_left() -> None:
    async def work(table: Table, tasks: RunTasks) -> None:
        table.ended[KEY] = Reason.DONE
        tasks.stop(KEY)
        await until(lambda: table.left == [KEY])
        assert (len(tasks), len(table.began)) == (0, 1)

    on_tasks(work)


def test_closing_leaves_no_model_asked() -> None:
    async def work(table: Table, tasks: RunTasks) -> None:
        pass

    table = on_tasks(work)
    assert (table.left, table.ended) == ([KEY], {})


def test_a_run_in_hand_that_is_begun_again_is_looked_at_again() -> None:
    async def work(table: Table, tasks: RunTasks) -> None:
        table.release.set()
        await until(lambda: not tasks)
        assert table.ended == {KEY: Reason.DONE}
        assert len(table.began) == 1, "it has ended"

    on_tasks(work)


def test_whoever_answers_for_a_cancelled_run_waits_for_what_is_under_way() -> None:
    async def work(table: Table, tasks: RunTasks) -> None:
        tasks.answer_cancelled(KEY)
        await asyncio.sleep(0)
        assert table.ended == {}
        tasks.cancel(*KEY)
        await until(lambda: not tasks and table.left == [KEY])
        assert table.ended == {KEY: Reason.CANCELLED}

    on_tasks(work)
