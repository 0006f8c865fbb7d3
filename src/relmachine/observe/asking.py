"""The questions that HTTP, MCP and the page ask of a node's store, with their answers. Nothing here writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from relmachine.algebra.identity import ID_CHARACTERS, ID_PATTERN
from relmachine.errors import Code, RelmError
from relmachine.kernel.knowledge import element_of
from relmachine.kernel.thread_token import check_thread
from relmachine.observe.answers import answer
from relmachine.observe.answers_lag import Lag
from relmachine.observe.answers_reading import (
    Event,
    Events,
    Knowledge,
    Rejection,
    Rejections,
    Section,
    Settled,
    Thread,
    ThreadLine,
    Threads,
    Why,
)
from relmachine.observe.answers_runs import Attempt, Run, RunLine, Runs
from relmachine.observe.lag import LISTED
from relmachine.observe.port import NodeView
from relmachine.store import reading

SEQUENCE_MAX = 2**63 - 1
"""Largest stream sequence that a store can hold."""

_HISTORY_ID = re.compile(ID_PATTERN)


def parse_at(at: int | str | None) -> reading.At:
    """A point of a thread: a stream sequence (as number or digits), a history id, or None for now.

    Errors: `query_refused`.
    """
    if isinstance(at, str) and not _HISTORY_ID.fullmatch(at) and re.fullmatch("[0-9]{1,19}", at):
        at = int(at)
    if at is None or (isinstance(at, int) and 0 <= at <= SEQUENCE_MAX):
        return at
    if isinstance(at, str) and _HISTORY_ID.fullmatch(at):
        return at
    sentence = f"give 'at' as a stream sequence or as a history id of {ID_CHARACTERS} hexadecimal digits"
    raise RelmError(Code.QUERY_REFUSED, sentence, at=str(at)[:80])


async def lag(node: NodeView, threads: Sequence[str] = (), limit: int = LISTED) -> Lag:
    """How far behind everything is. Errors: as in `NodeView.lag`."""
    return answer(Lag, await node.lag(threads, limit))


async def lag_if_known(node: NodeView) -> Lag | None:
    """The same beside other things: None while the stream does not answer."""
    try:
        return await lag(node)
    except RelmError as error:
        if error.code is not Code.UNREACHABLE:
            raise
        return None


async def threads(node: NodeView, after: str, limit: int) -> Threads:
    """The threads whose token comes after `after`, at most `limit`."""
    lines = await reading.threads(node.store, after, limit)
    return Threads(
        threads=[answer(ThreadLine, line) for line in lines],
        after=lines[-1].thread if len(lines) == limit else None,
    )


async def thread(node: NodeView, thread: str) -> Thread:
    """Where a thread stands. Errors: `thread_name_invalid`, `not_found`."""
    standing = await reading.thread(node.store, check_thread(thread))
    rest = {name: getattr(standing, name) for name in ("normal_form", "settled", "fiber", "section_digest")}
    rest["standing"] = await reading.standing(node.store, thread)
    rest["runs_open"] = await reading.open_runs(node.store, thread)
    return Thread.model_validate({**asdict(standing.line), **rest})


async def runs(node: NodeView, thread: str, after: int, limit: int) -> Runs:
    """The thread's runs whose request is after `after`, at most `limit`. Errors as for `thread`."""
    lines = await reading.runs(node.store, check_thread(thread), after, limit)
    return Runs(
        thread=thread,
        runs=[answer(RunLine, line) for line in lines],
        after=lines[-1].request if len(lines) == limit else None,
    )


async def run(node: NodeView, thread: str, request: int) -> Run:
    """One run, whole. Errors as for `thread`."""
    found = await reading.run(node.store, check_thread(thread), request)
    rest = {name: getattr(found, name) for name in ("payload", "evidence", "plan", "outcome")}
    attempts = [answer(Attempt, one) for one in found.attempts]
    return Run.model_validate({"thread": thread, **asdict(found.line), **rest, "attempts_made": attempts})


async def events(node: NodeView, thread: str, after: int, limit: int) -> Events:
    """The thread's events after stream sequence `after`, at most `limit`. Errors as for `thread`."""
    lines = await reading.events(node.store, check_thread(thread), after=after, limit=limit)
    return Events(
        thread=thread,
        events=[answer(Event, line) for line in lines],
        after=lines[-1].sequence if len(lines) >= limit else None,
    )


async def settled(node: NodeView, thread: str) -> Settled:
    """What is settled in the thread's present history. Errors as for `thread`."""
    point = await reading.resolve(node.store, check_thread(thread))
    claims = await reading.settled(node.store, thread, point.sequence)
    return Settled(thread=thread, history=point.history, sequence=point.sequence, claims=claims)


async def section(node: NodeView, thread: str, at: int | str | None = None) -> Section:
    """The thread's section at a point. Errors as for `thread`, and `query_refused`."""
    store = node.store
    # Both parts at one point: the thread may move between two reads.
    point = await reading.resolve(store, check_thread(thread), parse_at(at))
    whole = await reading.section(store, thread, point.sequence)
    stable = await reading.section(store, thread, point.sequence, settled_only=True)
    return Section.model_validate(
        {
            "thread": thread,
            "history": point.history,
            "sequence": point.sequence,
            "section_digest": whole.section_digest,
            "fields": whole.fields,
            "settled_fields": stable.fields,
        }
    )


async def why(node: NodeView, thread: str, claim: str) -> Why:
    """Why a claim holds in the thread or does not. Errors as for `thread`."""
    return answer(Why, await reading.why(node.store, check_thread(thread), claim))


async def rejections(node: NodeView, thread: str | None, before: int | None, limit: int) -> Rejections:
    """Refused steps before stream sequence `before`, the newest first. Errors: `thread_name_invalid`."""
    if thread is not None:
        check_thread(thread)
    found = await reading.newest_rejections(node.store, limit, thread, before)
    return Rejections(
        rejections=[answer(Rejection, item) for item in found],
        before=found[-1].sequence if len(found) == limit else None,
    )


async def knowledge(node: NodeView, history: str, element: list[str], by: Literal["σ", "Δ"]) -> Knowledge:
    """σ or Δ of an element of the history's fiber. Errors: `not_found`, `query_refused`."""
    if not _HISTORY_ID.fullmatch(history):
        what = f"a history id, {ID_CHARACTERS} hexadecimal digits"
        sentence = f"give {what}: `settled`, `section` and a thread's events answer it"
        raise RelmError(Code.QUERY_REFUSED, sentence, history=history[:80])
    fiber = await reading.fiber(node.store, history)
    asked = element_of(fiber, element)
    found = fiber.saturate(asked) if by == "σ" else fiber.transfer_of(asked)
    return Knowledge(
        history=history,
        fiber=fiber.fiber_id,
        element=list(fiber.names(asked)),
        result=list(fiber.names(found)),
        fixed=found == asked,
    )
