"""What rqlite servers answered, taken apart: done, refused, or nobody can tell.

An answer counts as done only when everything in it says so: status 200, no error beside the results, as many results
as statements, and none of them an error. A statement's error means that the transaction was rolled back. Everything
else says nothing about what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.store.port import Table

_REFUSING = range(400, 500)


@dataclass(frozen=True, slots=True)
class Done:
    """Everything took effect; one table for each statement, empty for those that return nothing."""

    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The servers said no, and nothing took effect. `detail` is SQLite's own text where it was SQLite."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No telling whether it took effect, or will yet."""

    detail: str


Answer = Done | Refused | Unknown


def refusal(answer: Refused) -> RelmError:
    """What it means when the servers refuse a statement of our own."""
    sentence = (
        "the replicated store refuses what this relmachine asks of it: check the user it logs in as, and that nobody "
        "changed its tables"
    )
    return RelmError(Code.INTERNAL, sentence, detail=answer.detail)


def taken_apart(status: int, text: bytes, statements: int) -> Answer:
    """What an answer to so many statements says."""
    # The servers answer 500 to most of what may pass; a result that JSON cannot carry, an infinity, stays so.
    if status in _REFUSING or text.startswith(b"json: "):
        return Refused(text.decode(errors="replace").strip() or f"status {status}")
    if status != 200:
        return Unknown(f"status {status}: {text[:200].decode(errors='replace').strip()}")
    try:
        answer = cast(object, orjson.loads(text))
    except orjson.JSONDecodeError:
        return Unknown("an answer that is no JSON")
    if not isinstance(answer, dict) or "error" in answer:
        return Unknown(str(cast(object, answer))[:200])
    results = cast(list[dict[str, object]], cast(dict[str, object], answer).get("results") or [])
    for result in results:
        if "error" in result:
            return Refused(str(result["error"]))
    if len(results) != statements:
        return Unknown(f"{len(results)} results for {statements} statements")
    return Done(tuple(_table(result) for result in results))


def _table(result: Mapping[str, object]) -> Table:
    columns = cast("list[str]", result.get("columns") or [])
    rows = cast("list[list[object]]", result.get("values") or [])
    return Table(tuple(columns), tuple(map(tuple, rows)))
