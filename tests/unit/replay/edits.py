"""One thread with a run of each kind, and what somebody may change in its export."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from relmachine.machine import Machine
from relmachine.replay.exported import ThreadExport
from relmachine.replay.exporting import export
from relmachine.store.sqlite import SqliteStore
from tests.unit.replay.living import Living

Edit = Callable[[dict[str, Any]], None]
"""Changes an export, as JSON."""

THREAD = "t"


def thread_of(machine: Machine, folder: Path) -> ThreadExport:
    """A thread whose `propose` and `count` are overtaken once, and which is contested at its end."""

    async def run() -> ThreadExport:
        store = SqliteStore.open(folder / "store.db", machine.plan())
        try:
            shop = Living(machine.plan(), store)
            for step, data in (
                ("observe", {"symptom": "slow"}),
                ("propose", {}),
                ("count", {}),
                ("note", {"text": "a"}),
            ):
                shop.step(THREAD, step, key=f"first {step}", **data)
            await shop.settle()
            late = await shop.answers()
            shop.step(THREAD, "observe", symptom="later")
            await shop.publish(late)
            await shop.live()
            shop.step(THREAD, "route", key="the route", service="web")
            await shop.live()
            shop.step(THREAD, "retract", key="contest")
            shop.step(THREAD, "observe", key="again", symptom="again")
            await shop.live()
            await shop.carrier.close()
            return await export(store, THREAD)
        finally:
            await store.close()

    return asyncio.run(run())


def edited(export: ThreadExport, edit: Edit) -> ThreadExport:
    """The export after the edit."""
    raw = orjson.loads(export.text())
    edit(raw)
    raw["messages"].sort(key=lambda one: one["sequence"])
    return ThreadExport.model_validate_json(orjson.dumps(raw))


def request_of(export: ThreadExport, step: str) -> int:
    """Where the run of a step was asked for."""
    return next(run.request for run in export.runs if run.step == step)


def sequence_of(export: ThreadExport, key: str) -> int:
    """Where the step with this id was published."""
    found = (one for one in export.messages if one.body and orjson.loads(one.body)["id"] == key)
    return next(found).sequence


def answer(step: str, attempt: int, change: Callable[[dict[str, Any]], None]) -> Edit:
    """Change an answer of the run of a step."""

    def edit(raw: dict[str, Any]) -> None:
        message = _answer_of(raw, step, attempt)
        body = orjson.loads(message["body"])
        change(body["data"])
        message["body"] = orjson.dumps(body).decode()

    return edit


def plan(step: str, member: str, value: object) -> Edit:
    """Change the frozen plan in the last answer of a run."""

    def change(data: dict[str, Any]) -> None:
        frozen = orjson.loads(data["plan"])
        assert frozen[member] != value
        frozen[member] = value if member != "budget" else {**frozen[member], **dict(value)}  # type: ignore[call-overload]
        data["plan"] = orjson.dumps(frozen, option=orjson.OPT_SORT_KEYS).decode()

    return answer(step, 2, change)


def payload(key: str, **data: object) -> Edit:
    """Change what a step says."""

    def edit(raw: dict[str, Any]) -> None:
        (message,) = (one for one in raw["messages"] if one["body"] and orjson.loads(one["body"])["id"] == key)
        message["body"] = orjson.dumps({**orjson.loads(message["body"]), "data": data}).decode()

    return edit


def dropped(raw: dict[str, Any], sequence: int) -> None:
    """Leave a message out."""
    raw["messages"] = [one for one in raw["messages"] if one["sequence"] != sequence]


def swapped(raw: dict[str, Any], sequence: int) -> None:
    """Let a message and the next one change places."""
    pair = [one for one in raw["messages"] if one["sequence"] in (sequence, sequence + 1)]
    pair[0]["sequence"], pair[1]["sequence"] = pair[1]["sequence"], pair[0]["sequence"]


def answered_at(export: ThreadExport, step: str, attempt: int) -> int:
    """Where the answer to an attempt is."""
    (run,) = (one for one in export.runs if one.step == step)
    return run.attempts[attempt - 1].answered


def _answer_of(raw: dict[str, Any], step: str, attempt: int) -> dict[str, Any]:
    (run,) = (one for one in raw["runs"] if one["step"] == step)
    at = run["attempts"][attempt - 1]["answered"]
    return next(one for one in raw["messages"] if one["sequence"] == at)
