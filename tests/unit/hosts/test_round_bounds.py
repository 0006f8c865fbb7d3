"""Goal: a round takes no more bytes than its bound, and a turn that no commit can hold takes fewer steps until one can.
Method: rounds with all real parts on a SQLite store that refuses commits beyond a size, and a stream in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.relay import Relay
from relmachine.hosts.round import Rounds
from relmachine.kernel.candidate import Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.machine import Machine
from relmachine.machine.declaration import Member
from relmachine.machine.plan import FieldType
from relmachine.store import reading
from relmachine.store.port import CommitOutcome, TooLarge
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.feeds import NatsFeeds
from relmachine.stream.port import Reader
from relmachine.stream.reader import _within


class SmallCommits:
    """A store whose commits hold at most `events_max` events of a thread; keeps how many each try had."""

    def __init__(self, store: SqliteStore, events_max: int) -> None:
        self._store, self._events_max = store, events_max
        self.tries: dict[str, list[int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow] = ()) -> Sequence[CommitOutcome]:
        for one in proposals:
            self.tries.setdefault(one.before.thread, []).append(len(one.events))
        fits = [one for one in proposals if len(one.events) <= self._events_max]
        done = {one.thread: one for one in await self._store.commit(fits, sent)}
        threads = [(one.before.thread, len(one.events)) for one in proposals]
        return [done.get(thread) or TooLarge(thread, events, self._events_max) for thread, events in threads]


def machine() -> Machine:
    made = Machine("talk")
    made.step("say", kind="process", payload=[Member("text", FieldType.STRING)])
    return made


def message(sequence: int, thread: str, size: int) -> Message:
    event = {"specversion": "1.0", "source": "s", "id": str(sequence), "type": "say", "data": {"text": "x" * size}}
    return Message(sequence, thread, "say", json.dumps(event).encode())


def round_of(
    folder: Path,
    messages: Sequence[Message],
    limits: Limits,
    work: Callable[[Rounds, SmallCommits], Coroutine[Any, Any, None]],
    events_max: int = 10_000,
) -> None:
    async def run() -> None:
        plan = machine().plan()
        real = SqliteStore.open(folder / "store.db", plan)
        store = SmallCommits(real, events_max)
        reader = cast(Reader, InMemory(messages))
        policy, relay = RegoPolicy(plan.machine), Relay(real, cast(NatsFeeds, None))
        gates = Gates(ShapeGate(plan, limits), policy, AdmissionGate(plan), None, ConstraintChecker(plan, limits))
        stages = assemble(plan, limits, cast(Any, store), reader, gates, relay)
        try:
            await work(Rounds(stages), store)
        finally:
            await real.close()

    asyncio.run(run())


class InMemory:
    """Reads of a list."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        return [_within(self._of(*request), bytes_max) or () for request in requests]

    def _of(self, thread: str, after: int, limit: int) -> list[Message]:
        return [one for one in self._messages if one.thread == thread and one.sequence > after][:limit]


def test_threads_have_equal_shares_of_the_bytes_and_one_step_in_any_case(tmp_path: Path) -> None:
    messages = [message(place + 1, f"t{place % 3}", 900 if place % 3 else 20_000) for place in range(30)]
    limits = Limits(payload_bytes_per_round_max=15_000, payload_bytes_per_turn_max=4_000)

    async def work(rounds: Rounds, store: SmallCommits) -> None:
        await rounds.run(["t0", "t1", "t2"])
        assert store.tries == {"t0": [1], "t1": [4], "t2": [4]}, "bytes of a turn"
        await rounds.run(["t1", "t2"])
        assert store.tries["t1"] == [4, 4]
        for _ in range(20):
            await rounds.run(["t0", "t1", "t2"])
        assert (await reading.totals(rounds_store(store))).committed == 30

    round_of(tmp_path, messages, limits, work)


def test_the_bytes_of_a_round_are_shared_by_its_threads(tmp_path: Path) -> None:
    messages = [message(place + 1, f"t{place % 2}", 900) for place in range(40)]

    async def work(rounds: Rounds, store: SmallCommits) -> None:
        await rounds.run(["t0", "t1"])
        assert store.tries == {"t0": [5], "t1": [5]}
        await rounds.run(["t0"])
        assert store.tries["t0"] == [5, 10]

    round_of(tmp_path, messages, Limits(payload_bytes_per_round_max=10_500), work)


def test_a_turn_that_no_commit_holds_takes_fewer_steps_and_holds_up_nobody(tmp_path: Path) -> None:
    messages = [message(place + 1, "long" if place % 10 else "short", 10) for place in range(100)]

    async def work(rounds: Rounds, store: SmallCommits) -> None:
        cursors = await rounds.run(["long", "short"])
        assert store.tries == {"long": [90, 22], "short": [10]}
        assert cursors["short"] == 91
        while cursors["long"] < 100:
            cursors = await rounds.run(["long"])
        assert (await reading.totals(rounds_store(store))).committed == 100

    round_of(tmp_path, messages, Limits(), work, events_max=25)


def test_a_single_step_that_no_commit_holds_is_an_error_that_names_it(tmp_path: Path) -> None:
    async def work(rounds: Rounds, store: SmallCommits) -> None:
        with pytest.raises(RelmError) as refused:
            await rounds.run(["t"])
        assert store.tries == {"t": [5, 1]}
        assert (refused.value.code, refused.value.witness["commit_bytes_max"]) == (Code.LIMIT_EXCEEDED, 0)

    round_of(tmp_path, [message(place + 1, "t", 10) for place in range(5)], Limits(), work, events_max=0)


def rounds_store(store: SmallCommits) -> reading.Reads:
    return cast(reading.Reads, store)
