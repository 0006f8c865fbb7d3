"""Commits to the replicated store: proposals of many threads in one request, each fenced by where its thread stands.

Nothing is looked at before: the request is sent, and the fence in the schema says whether a proposal in it is stale.
Only then is it found out which, and the rest is sent again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.deciding import asked
from relmachine.store.port import Draft, Stale, TooLarge
from relmachine.store.rqlite.answers import Done, Refused, Unknown, refusal
from relmachine.store.rqlite.client import RqliteClient, Statement
from relmachine.store.rqlite.pieces import Piece, dropping, grouped, piece, request
from relmachine.store.rqlite.snapshots import Snapshots
from relmachine.store.tables import insert_statement
from relmachine.store.turn_rows import HEADS, Head

STALE = "stale"
"""What the fence in the schema says."""

_FIBERS_KNOWN_MAX = 65_536
# Written absolutely, so that it may be written twice.
_REFUSALS = """
INSERT INTO fence_refusals (writer, refusals) VALUES (?, ?)
ON CONFLICT (writer) DO UPDATE SET refusals = max(refusals, excluded.refusals)
"""
# What is at the places of proposals whose outcome is not known: the commit that starts there, and what it refused.
_LANDED = f"""
SELECT c.thread, c.from_head, c.from_seq, c.epoch, c.to_head, c.to_seq,
  (SELECT json_group_array(json_array({", ".join(f"r.{name}" for name in tables.REJECTIONS.columns)})) FROM rejections r
    WHERE r.thread = c.thread AND r.seq > c.from_seq AND r.seq <= c.to_seq)
FROM json_each(?) asked JOIN commits c ON c.thread = asked.value ->> 0 AND c.from_seq = asked.value ->> 1
"""


@dataclass(slots=True)
class RqliteWriter:
    """Writes proposals through one client; may be called while a call of other threads runs.

    `fence_refusals` counts the requests that the fence rolled back. It is written to the store with the next commit.
    """

    client: RqliteClient
    plan: Plan
    limits: Limits
    fence_refusals: int = 0
    _refusals_written: int = 0
    _name: str = field(default_factory=lambda: secrets.token_hex(8))
    _fibers_known: set[str] = field(default_factory=set[str])
    _snapshots: Snapshots = field(init=False)

    def __post_init__(self) -> None:
        self._snapshots = Snapshots(self.client, self.plan, self.limits)

    async def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow]) -> dict[str, Stale | TooLarge]:
        """Write, durably, what is neither stale nor too large; returns what is, by thread.

        Errors: `unreachable`, after which the commit may have taken effect or may yet; `limit_exceeded`, `internal`.
        """
        threads = [proposal.before.thread for proposal in proposals]
        assert len(set(threads)) == len(threads), "proposals of one commit are of distinct threads"
        moving: list[Proposal] = []
        resting: list[Proposal] = []
        for proposal in proposals:
            (resting if proposal.after.cursor == proposal.before.cursor else moving).append(proposal)
        fresh = [proposal for proposal in moving if self._may_begin(proposal)]
        stale = {proposal.before.thread for proposal in moving} - {proposal.before.thread for proposal in fresh}
        stale |= await self._misplaced(resting)
        plain = [proposal for proposal in fresh if not proposal.joins]
        snapshots = await self._snapshots.due(plain)
        bounds = self.client.bounds
        made = [piece(proposal, snapshots.get(proposal.before.thread), bounds) for proposal in fresh]
        pieces = [one for one in made if one.bytes <= bounds.commit_bytes_max]
        drops = dropping(sent, bounds.value_bytes_max)
        for group in grouped(pieces, bounds.request_bytes_max):
            stale |= await self._write(group, drops)
            drops = []
        if drops:
            await self._write([], drops)
        self._snapshots.taken(
            one.proposal.after for one in pieces if one.thread not in stale and not one.proposal.joins
        )
        large = {
            one.thread: TooLarge(one.thread, one.bytes, bounds.commit_bytes_max)
            for one in made
            if one.bytes > bounds.commit_bytes_max
        }
        return large | {thread: Stale(thread) for thread in stale}

    async def keep_draft(self, draft: Draft) -> None:
        """Write it, again as long as the outcome is not known: a second time changes nothing. Errors: `unreachable`."""
        patience = self.client.patience()
        statement: Statement = (insert_statement(tables.RUN_DRAFTS, 1), *astuple(draft))
        while True:
            match await self.client.write([statement]):
                case Done():
                    return
                case Refused() as refused:
                    raise refusal(refused)
                case Unknown(detail):
                    await patience.wait(detail)

    async def close(self) -> None:
        """Write the count of refusals, if it can be done at once."""
        if self.fence_refusals != self._refusals_written:
            await self.client.write([self._count()])

    async def _write(self, group: list[Piece], drops: list[Statement]) -> set[str]:
        """One request, again without what turned out stale, until it is done; returns what was stale.

        A request whose outcome is not known is sent again: if it took effect, or does yet, the fence refuses the
        second, and then the commit that is found there is the one that was to be made.
        """
        stale: set[str] = set()
        in_doubt = False
        refusals = 0
        patience = self.client.patience()
        while group or drops:
            counted = self.fence_refusals
            count = [self._count()] if group and counted != self._refusals_written else []
            statements, fibers = self._statements(group)
            match await self.client.write([*drops, *statements, *count]):
                case Done():
                    self._remember(fibers)
                    self._refusals_written = max(self._refusals_written, counted if count else 0)
                    break
                case Refused(detail) as refused:
                    if detail != STALE:
                        raise refusal(refused)
                    self.fence_refusals += 1
                    refusals += 1
                    self._check_attempts(refusals)
                case Unknown(detail):
                    in_doubt = True
                    await patience.wait(detail)
            heads = await self._heads(group)
            landed = await self._landed(group) if in_doubt else set[str]()
            stale |= {
                one.thread for one in group if one.thread not in landed and not heads[one.thread].fits(one.proposal)
            }
            group = [one for one in group if one.thread not in stale | landed]
        return stale

    def _statements(self, group: Sequence[Piece]) -> tuple[list[Statement], set[str]]:
        elements_max, bytes_max = self.limits.fiber_table_elements_max, self.client.bounds.value_bytes_max
        return request(self.plan, group, self._fibers_known, elements_max, bytes_max)

    def _may_begin(self, proposal: Proposal) -> bool:
        """A thread begins at its genesis; where it goes on, the fence decides."""
        before = proposal.before
        return before.cursor != 0 or before.head == Head.of_new(self.plan, before.thread).head

    async def _misplaced(self, resting: Sequence[Proposal]) -> set[str]:
        """Of proposals that move nothing, those that start elsewhere than their thread stands."""
        heads = await self._heads_of([proposal.before.thread for proposal in resting])
        return {proposal.before.thread for proposal in resting if not heads[proposal.before.thread].fits(proposal)}

    async def _heads(self, group: Sequence[Piece]) -> dict[str, Head]:
        return await self._heads_of([one.thread for one in group])

    async def _heads_of(self, threads: Sequence[str]) -> dict[str, Head]:
        rows = await self.client.rows((HEADS, asked(threads))) if threads else ()
        found = {cast(str, row[0]): Head(*cast(tuple[str, int, int, int, int], row[1:])) for row in rows}
        return {thread: found.get(thread) or Head.of_new(self.plan, thread) for thread in threads}

    async def _landed(self, group: Sequence[Piece]) -> set[str]:
        """The threads in which exactly this proposal is what happened, whoever wrote it.

        A history contains its events, so the commit's ends fix what was committed; what was refused is compared.
        """
        if not group:
            return set()
        places = asked([(one.thread, one.proposal.before.cursor) for one in group])
        found = {cast(str, row[0]): row[1:] for row in await self.client.rows((_LANDED, places))}
        return {one.thread for one in group if one.thread in found and _is(one.proposal, found[one.thread])}

    def _count(self) -> Statement:
        return (_REFUSALS, self._name, self.fence_refusals)

    def _check_attempts(self, refusals: int) -> None:
        if refusals >= self.limits.commit_attempts_max:
            raise RelmError(
                Code.LIMIT_EXCEEDED,
                "the threads move faster than this commit can follow: decide again",
                commit_attempts_max=self.limits.commit_attempts_max,
            )

    def _remember(self, fibers: set[str]) -> None:
        if len(self._fibers_known) + len(fibers) > _FIBERS_KNOWN_MAX:
            self._fibers_known.clear()
        self._fibers_known |= fibers


def _is(proposal: Proposal, found: Sequence[object]) -> bool:
    before, after = proposal.before, proposal.after
    *ends, refused = found
    rejections = sorted(tuple(row) for row in orjson.loads(cast(str, refused)))
    there = [before.head, before.cursor, before.epoch, after.head, after.cursor]
    return ends == there and rejections == sorted(tuple(row) for row in proposal.rejections)
