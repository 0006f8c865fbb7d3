"""Forks, merges and resolutions asked of a node, the same for HTTP and MCP: each becomes a control record."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from relmachine.algebra.identity import hash_of
from relmachine.errors import Code, RelmError
from relmachine.kernel.control import CLOSE, FORK, MERGE, RESOLVE
from relmachine.kernel.envelope import ANONYMOUS, Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import check_thread
from relmachine.kernel.verdicts import Refused
from relmachine.observe.answers import Asked, StepAccepted, StepCommitted, StepHeld, StepOpened, StepRefused, answer
from relmachine.observe.answers_forking import Obstruction, ObstructionLine, Obstructions, Side
from relmachine.observe.asking import parse_at
from relmachine.observe.port import Accepted, NodeView
from relmachine.observe.publishing import early_refusal, outcome_of
from relmachine.store import reading

HISTORY_SHOWN = 8
"""Characters of a history's hash in the name of a fork that nobody named."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: with `id`, `source` is the record's key, so that asking again with both is a repetition."""

    source: str
    id: str | None = None
    principal: str = ANONYMOUS

    def body(self, kind: str, key: str, data: dict[str, object]) -> bytes:
        """The record's wire form."""
        return Envelope(id=key, source=self.source, type=kind, data=data, principal=self.principal).wire()

    def key(self) -> str:
        """The id given, or a new one."""
        return self.id or uuid.uuid4().hex


async def fork(
    node: NodeView, limits: Limits, asker: Asker, thread: str, at: int | str | None, name: str | None, seconds: float
) -> Asked | StepRefused:
    """Begin thread `name` at a history that `thread` had. Errors: `not_found`, `thread_name_invalid`."""
    point = await reading.resolve(node.store, check_thread(thread, limits), parse_at(at))
    forked = check_thread(name or f"{thread}~{hash_of(point.history)[:HISTORY_SHOWN]}", limits)
    data: dict[str, object] = {"source": thread, "at": hash_of(point.history), "at_sequence": point.sequence}
    (said,) = await node.submit(forked, [asker.body(FORK, asker.key(), data)])
    return await _answered(node, said, seconds)


async def merge(
    node: NodeView, limits: Limits, asker: Asker, target: str, source: str, seconds: float
) -> Asked | StepRefused:
    """Merge thread `source` into `target`, and close it. Errors: `not_found`, `thread_name_invalid`."""
    for thread in (target, source):
        await reading.resolve(node.store, check_thread(thread, limits))
    if target == source:
        raise RelmError(Code.MERGE_UNPAIRED, "name two threads: one is merged into the other", thread=target)
    key = asker.key()
    close, merge = asker.body(CLOSE, key, {"target": target}), asker.body(MERGE, key, {"source": source})
    return await _answered(node, await node.merge(target, source, close, merge), seconds)


async def resolve(
    node: NodeView, limits: Limits, asker: Asker, identity: str, keep: str, reason: str, seconds: float
) -> Asked | StepRefused:
    """Resolve an obstruction in favour of thread `keep`. Errors: `not_found`, `thread_name_invalid`."""
    found = await reading.obstruction(node.store, identity)
    check_thread(keep, limits)
    data: dict[str, object] = {"obstruction": identity, "keep": keep, "reason": reason}
    (said,) = await node.submit(found.line.thread, [asker.body(RESOLVE, asker.key(), data)])
    return await _answered(node, said, seconds)


async def obstructions(node: NodeView, thread: str | None, limit: int, *, resolved: bool) -> Obstructions:
    """The obstructions met last. Errors: `thread_name_invalid`."""
    if thread is not None:
        check_thread(thread)
    lines = await reading.obstructions(node.store, thread, resolved=resolved, limit=limit)
    return Obstructions(obstructions=[answer(ObstructionLine, line) for line in lines])


async def obstruction(node: NodeView, identity: str) -> Obstruction:
    """One obstruction with both sides. Errors: `not_found`."""
    found = await reading.obstruction(node.store, identity)
    sides = [answer(Side, side) for side in found.sides]
    return Obstruction.model_validate({**asdict(found.line), "witness": list(found.line.witness), "sides": sides})


async def _answered(node: NodeView, said: Accepted | Refused, seconds: float) -> Asked | StepRefused:
    if isinstance(said, Refused):
        return early_refusal(said)
    accepted = answer(StepAccepted, said)
    outcome = await outcome_of(node, said.thread, said.sequence, seconds, repeated=said.duplicate, key=said.key)
    if isinstance(outcome, StepRefused):
        return outcome
    assert not isinstance(outcome, StepCommitted | StepOpened | StepHeld), "the key is a control record's"
    return Asked(accepted=accepted, applied=outcome)
