"""What became of every message of a stream, counted from the rows of its store by none of relmachine's own code."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relmachine.kernel.candidate import Message

Place = tuple[str, int]
"""Thread and sequence."""

_RECORDS = {"_answer", "_release"}
_TABLES = ("thread_events", "rejections", "controls", "runs", "held")
_GATES = {"shape", "policy", "laws"}
_PASSED = dict.fromkeys(_GATES, "pass")


@dataclass
class Tally:
    """`lives` counts steps by (home, life, why), `records` what the node said itself by (record, what came of it).

    `gaps` is every message whose evidence is not complete, with what is missing, and every row that no message led to.
    """

    lives: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    records: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    repeated: int = 0
    gaps: list[str] = field(default_factory=list[str])

    @property
    def steps(self) -> int:
        """Steps that were decided."""
        return sum(self.lives.values())


def tally(path: Path, messages: Iterable[Message]) -> Tally:
    """Count."""
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        book = _Book(connection)
    connection.close()
    for message in messages:
        book.enter(message)
    book.finish()
    return book.tally


class _Book:
    """The rows by place."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.tally = Tally()
        self._rows = {name: _by_place(connection.execute(f"SELECT * FROM {name}"), "seq") for name in _TABLES}
        self._ends = {
            home: _by_place(connection.execute(f"SELECT * FROM {table}"), "seq")
            for home, table in (("runs", "run_ends"), ("held", "held_ends"))
        }
        self._attempts = _by_place(connection.execute("SELECT * FROM run_attempts"), "seq")
        self._answers = _by_place(connection.execute("SELECT * FROM run_answers"), "seq")
        self._events = {row["event_id"]: row for row in connection.execute("SELECT * FROM events")}
        self._receipts = {(r["thread"], r["step_key"]): r for r in connection.execute("SELECT * FROM receipts")}
        self._plans = {row[0] for row in connection.execute("SELECT plan_digest FROM plans")}
        self._frozen = {row[0] for row in connection.execute("SELECT frozen_digest FROM frozen_plans")}
        self._seen: Counter[str] = Counter()

    def enter(self, message: Message) -> None:
        """Say what became of one message."""
        at, record = (message.thread, message.sequence), message.step_token in _RECORDS
        homes = [name for name in _TABLES if at in self._rows[name]]
        if record:
            homes = [name for name in homes if name == "controls"] or homes  # what ended there is of another message
        key = _key(message.body)
        if not homes:
            receipt = self._receipts.get((message.thread, key))
            self._miss(at, receipt is not None and receipt["seq"] < message.sequence, "nothing became of it")
            self.tally.repeated += 1
            return
        self._miss(at, len(homes) == 1, f"it became {homes}")
        (row,) = self._rows[homes[0]][at]
        self._seen[homes[0]] += 1
        if record:
            self.tally.records[message.step_token, row["code"] if homes[0] == "rejections" else "applied"] += 1
        else:
            self.tally.lives[homes[0], *self._life(at, homes[0], row, key)] += 1

    def finish(self) -> None:
        """Look for rows that no message led to."""
        for name, rows in self._rows.items():
            if len(rows) != self._seen[name]:
                self.tally.gaps.append(f"{name}: {len(rows)} rows of {self._seen[name]} messages")

    def _life(self, at: Place, home: str, row: sqlite3.Row, key: str) -> tuple[str, str]:
        """The phases of the step, and why it is no event."""
        if home == "thread_events":
            return self._event(at, row, key, at[1]), ""
        if home == "rejections":
            return self._refusal(at, row), row["code"] if row["gate"] == "engine" else row["gate"]
        self._signed(at, row, key)
        if home == "runs":
            self._run(at, row)
        (end,) = self._ends[home].get(at) or [None]
        if end is None:
            self._miss(at, False, f"{home}: it never ended")
            return "", ""
        there = (at[0], end["at_seq"])
        events, refusals = (self._rows[name].get(there, []) for name in ("thread_events", "rejections"))
        self._miss(at, len(events) + len(refusals) == 1, f"its end has {len(events)} events, {len(refusals)} refusals")
        self._seen.update(["thread_events"] * len(events) + ["rejections"] * len(refusals))
        lives = {self._event(there, one, key, at[1]) for one in events} | {
            self._refusal(there, one) for one in refusals
        }
        self._miss(at, lives == {end["lifecycle"]}, f"it ended as {end['lifecycle']!r}, and became {lives}")
        return end["lifecycle"], "".join(one["code"] for one in refusals)

    def _run(self, at: Place, row: sqlite3.Row) -> None:
        attempts, answers = self._attempts.get(at, []), self._answers.get(at, [])
        self._miss(at, bool(attempts) and len(attempts) == len(answers), "an attempt has no answer")
        self._miss(at, row["frozen_digest"] in self._frozen, "it has no frozen plan")
        last = [one["reason"] for one in answers[-1:]]
        self._miss(at, {one["reason"] for one in answers[:-1]} <= {"done", "overtaken"}, "it went on after its end")
        self._miss(at, bool(last), "it has no reason")

    def _event(self, at: Place, row: sqlite3.Row, key: str, came_at: int) -> str:
        event = self._events.get(row["event_id"])
        if event is None:
            self._miss(at, False, "there is no such event")
            return ""
        self._signed((at[0], came_at), row, key)
        self._miss(at, event["step_key"] == key, "the event has another key")
        self._miss(at, json.loads(event["verdicts"]) == _PASSED, "a gate is missing")
        self._miss(at, event["plan_digest"] in self._plans, "it has no plan")
        self._miss(at, bool(event["payload_digest"] and event["contributions_digest"] and row["history_id"]), "digests")
        self._ended_once(at, event["lifecycle"], "COMMIT")
        return event["lifecycle"]

    def _refusal(self, at: Place, row: sqlite3.Row) -> str:
        told = row["code"] and row["sentence"] and isinstance(json.loads(row["witness"]), dict)
        self._miss(at, bool(told), "it is not told why")
        if row["lifecycle"]:
            self._ended_once(at, row["lifecycle"], "ABORT")
        else:
            self._miss(at, row["gate"] in _GATES, "it was never opened, and no gate refused it")
        return row["lifecycle"]

    def _ended_once(self, at: Place, life: str, wanted: str) -> None:
        phases = life.split(">")
        ends = [phase for phase in phases if phase in ("COMMIT", "ABORT")]
        self._miss(at, phases[0] == "OPEN" and ends == [wanted] and phases[-2:] == [wanted, "CLOSE"], f"lived {life}")

    def _signed(self, at: Place, row: sqlite3.Row, key: str) -> None:
        """Somebody answers for the step, and whoever publishes it again is told what became of it."""
        self._miss(at, bool(json.loads(row["evidence"]).get("principal")), "it has no principal")
        receipt = self._receipts.get((at[0], key))
        self._miss(at, receipt is not None and receipt["seq"] == at[1], "it has no receipt")

    def _miss(self, at: Place, sound: bool, what: str) -> None:
        if not sound:
            self.tally.gaps.append(f"{at[0]} at {at[1]}: {what}")


def _by_place(rows: Iterable[Any], sequence: str) -> dict[Place, list[Any]]:
    found: dict[Place, list[Any]] = {}
    for row in rows:
        found.setdefault((row["thread"], row[sequence]), []).append(row)
    return found


def _key(body: bytes) -> str:
    """The step key that the message gives itself, if it can be read."""
    try:
        envelope = json.loads(body)
        return json.dumps([envelope["source"], envelope["id"]], separators=(",", ":"), ensure_ascii=False)
    except (ValueError, KeyError, TypeError):
        return ""
