"""The walk over all threads: steps, commits, feed messages and the threads' own rows, side by side in one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

from relmachine.gates.admission import AdmissionGate
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.machine.plan import Plan
from relmachine.store.port import Reads
from relmachine.store.verify.decided import Told, told
from relmachine.store.verify.fault import Fault
from relmachine.store.verify.gate import AdmissionAgain
from relmachine.store.verify.own_laws import OwnLawsAgain
from relmachine.store.verify.rows import Ahead, stored_commits, stored_outbox, stored_threads
from relmachine.store.verify.steps import StoredRecord, stored_steps
from relmachine.store.verify.thread import ThreadCheck

STEPS_PER_SOLVE = 1000
"""Steps that one solve decides again: a solve costs a millisecond before its first step."""


class Walk:
    """One pass over a store's threads by name, each in subject order; stops at the first fault."""

    def __init__(
        self, store: Reads, plans: Mapping[str, Plan], newest: Plan, counts: Counter[str], progress: Callable[[], None]
    ) -> None:
        self._store, self._plans, self._newest, self._counts = store, plans, newest, counts
        self._progress = progress
        self._admission = AdmissionAgain(newest, AdmissionGate(newest))
        self._own_laws = OwnLawsAgain(newest)
        self._threads, self._commits = Ahead(stored_threads(store)), Ahead(stored_commits(store))
        self._outbox = Ahead(stored_outbox(store))
        self._check: ThreadCheck | None = None

    async def run(self) -> Fault | None:
        """The first fault, or None."""
        try:
            return await self._run()
        finally:
            self._own_laws.close()

    async def _run(self) -> Fault | None:
        async for batch in self._batches():
            if isinstance(batch, StoredRecord):
                fault = await self._reach(batch.thread, batch.sequence) or await self._record(batch)
                if fault is not None:
                    return fault
                continue
            standing = None if self._check is None else self._check.state
            verdicts = await self._admission.verdicts(batch, standing)
            own = await self._own_laws.verdicts(batch)
            for item in batch:
                fault = await self._reach(item.step.thread, item.step.sequence)
                if fault is None and self._check is not None:
                    fault = self._check.step(item, verdicts, own, feeds=await self._feeds_left())
                if fault is not None:
                    return fault
        return await self._end()

    async def _record(self, record: StoredRecord) -> Fault | None:
        assert self._check is not None, "a thread was reached"
        fault = await self._check.record(self._store, record, feeds=await self._feeds_left())
        await self._own_laws.resume(self._store, self._check.state)
        return fault

    async def _batches(self) -> AsyncIterator[list[Told] | StoredRecord]:
        """Steps that are decided together; a record, which changes what comes after it as a whole, by itself."""
        batch: list[Told] = []
        async for step in stored_steps(self._store):
            if isinstance(step, StoredRecord):
                if batch:
                    yield batch
                    batch = []
                yield step
                continue
            batch.append(told(self._plans, self._newest, step))
            if len(batch) == STEPS_PER_SOLVE:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _reach(self, thread: str, sequence: int) -> Fault | None:
        """Go on to where this step comes: to its thread, and over the commits before its own."""
        while self._check is None or self._check.stored.thread != thread:
            following = await self._threads.look()
            if following is None or following.thread > thread:
                return Fault(thread, sequence, "", "threads: no row for the thread of a step", "", thread)
            fault = await self._enter_next()
            if fault is not None:
                return fault
        while (commit := await self._commits.look()) is not None and commit.thread <= thread:
            if commit.thread == thread and sequence <= commit.to_seq:
                return None
            fault = await self._close()
            if fault is not None:
                return fault
        return Fault(thread, sequence, "", "commits: no commit covers the step", "", "")

    async def _enter_next(self) -> Fault | None:
        fault = await self._leave()
        row = await self._threads.take()
        if fault is None and row is not None:
            self._check = ThreadCheck(row, self._plans, self._newest, self._counts)
        return fault

    async def _leave(self) -> Fault | None:
        """The end of a thread: the commits after its last step, which refused nothing and repeated, and its own row."""
        check, fault = self._check, None
        if check is None:
            return None
        while fault is None and (commit := await self._commits.look()) is not None:
            if commit.thread > check.stored.thread:
                break
            fault = await self._close()
        fault = fault or check.finish()
        if fault is None:
            self._progress()
        return fault

    async def _close(self) -> Fault | None:
        commit, check = await self._commits.take(), self._check
        assert commit is not None
        assert check is not None
        if commit.thread != check.stored.thread:
            return Fault(commit.thread, commit.to_seq, "", "commits: of a thread that has no row", "", "")
        waiting: list[OutboxRow] = []
        while (row := await self._outbox.look()) is not None and (row.thread, row.seq) <= (
            commit.thread,
            commit.to_seq,
        ):
            if (row.thread, row.seq) != (commit.thread, commit.to_seq):
                return Fault(row.thread, row.seq, "", "outbox: a message of no commit", str(row.seq), "")
            waiting.append(row)
            await self._outbox.take()
        return await check.close(self._store, commit, waiting)

    async def _feeds_left(self) -> bool:
        row = await self._outbox.look()
        return row is not None and self._check is not None and row.thread == self._check.stored.thread

    async def _end(self) -> Fault | None:
        """The threads after the last step, and what is left over of commits and messages."""
        while await self._threads.look() is not None:
            fault = await self._enter_next()
            if fault is not None:
                return fault
        fault = await self._leave()
        if fault is not None:
            return fault
        commit, row = await self._commits.look(), await self._outbox.look()
        if commit is not None:
            return Fault(commit.thread, commit.to_seq, "", "commits: of a thread that has no row", "", "")
        if row is not None:
            return Fault(row.thread, row.seq, "", "outbox: a message of no commit", str(row.seq), "")
        return None
