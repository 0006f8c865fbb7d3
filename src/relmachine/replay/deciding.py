"""Deciding an export again, up to a stream sequence at a time, on a store of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.round import Rounds
from relmachine.kernel.lane import Asked
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.thread_token import thread_label
from relmachine.replay.difference import Difference, Shown
from relmachine.replay.silent import NoRelay

if TYPE_CHECKING:
    from relmachine.hosts.relay import Relay
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.replay.exported import ExportedStop
    from relmachine.replay.reading import ExportedStream
    from relmachine.store.sqlite import SqliteStore


@dataclass(slots=True)
class Deciding:
    """Takes the turns of threads. There is nobody to tell: no runner, no telemetry, and a relay that sends nothing."""

    plan: Plan
    limits: Limits
    store: SqliteStore
    stream: ExportedStream
    gates: Gates
    _rounds: Rounds = field(init=False)
    _reached: dict[str, int] = field(init=False, default_factory=dict[str, int])
    _stuck: set[str] = field(init=False, default_factory=set[str])

    def __post_init__(self) -> None:
        relay = cast("Relay", NoRelay())
        self._rounds = Rounds(
            assemble(self.plan, self.limits, self.store, self.stream, self.gates, relay, budgets=False)
        )

    async def until(self, sequence: int) -> list[Shown]:
        """Decide every message up to `sequence`. A thread that waits for a message which is not there stays where it
        is: that is a difference.
        """
        self.stream.end = max(self.stream.end, sequence)
        wanted = self.stream.ends()
        while left := [name for name, end in wanted.items() if self._reached.get(name, 0) < end and self._goes(name)]:
            some = left[: self.limits.threads_per_round_max]
            cursors = await self._rounds.run(some, wanted)
            moved = {name: cursor for name, cursor in cursors.items() if cursor > self._reached.get(name, 0)}
            self._reached.update(moved)
            if not moved:
                self._stuck.update(some)
                return [await self._waits(name) for name in some]
        return []

    async def stop(self, stop: ExportedStop) -> None:
        """Cancel or close the thread, as the control lane did here."""
        empty = initial_state(self.plan, stop.thread)
        label, state = thread_label(stop.thread), dump_state(empty)
        key = f'["relm:replay","{stop.record}"]'
        sequence = stop.after * 2 + (stop.record == "close") + 1
        asked = Asked(
            stop.thread, sequence, stop.record, key, '{"reason":"replay"}', "{}", "", label, empty.head, state
        )
        await self.store.control([asked])

    def _goes(self, thread: str) -> bool:
        return thread not in self._stuck

    async def _waits(self, thread: str) -> Shown:
        (next_one,) = await self.stream.read(thread, self._reached.get(thread, 0), 1)
        what = "the record waits for a message that is not there"
        return Shown(next_one.sequence, Difference(thread, next_one.sequence, what, next_one.step_token, ""))
