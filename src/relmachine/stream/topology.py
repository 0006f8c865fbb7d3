"""Names on the stream: subjects, streams, consumers, and the metadata that ties them to a machine's laws. Pure.

`relm.<machine>.step.<thread>.<step>` is the input, and ahead of it `relm.<machine>.control.<thread>`; `journal`, `out`,
`rejected` and `effect` are feeds with one subject per thread; `telemetry` is heard by whoever listens, kept nowhere.
Source: `docs/math.md` section 1 (Σ and I as subject topology).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.stream.matrix import Matrix, written

FeedKind = Literal["journal", "out", "rejected", "effect"]

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Topology:
    """Every name that a machine has on the stream.

    Four streams: the steps, the journal and what threads were told on the control lane, with its effect, are what a
    rebuild needs, so nothing is ever deleted from them; `feeds` (out and rejected) can be derived from those and may
    get a retention of its own.
    """

    machine: str
    metadata: dict[str, str]

    @property
    def steps_stream(self) -> str:
        """The stream that holds every published step."""
        return f"relm_{self.machine}_steps"

    @property
    def steps_subjects(self) -> str:
        """Filter of all steps."""
        return f"relm.{self.machine}.step.*.*"

    def step_subject(self, thread: str, step_token: str) -> str:
        """Where a step of `thread` is published."""
        return f"relm.{self.machine}.step.{thread}.{step_token}"

    def thread_subjects(self, thread: str) -> str:
        """Filter of all steps of `thread`."""
        return f"relm.{self.machine}.step.{thread}.*"

    @property
    def control_stream(self) -> str:
        """The stream that holds what threads were told, and which effect that had."""
        return f"relm_{self.machine}_control"

    def control_subject(self, thread: str) -> str:
        """Where `thread` is told something ahead of its steps, `*` for all threads."""
        return f"relm.{self.machine}.control.{thread}"

    def feed_stream(self, kind: FeedKind) -> str:
        """The stream that holds the feed `kind`."""
        if kind == "effect":
            return self.control_stream
        return f"relm_{self.machine}_{'journal' if kind == 'journal' else 'feeds'}"

    @property
    def streams(self) -> tuple[str, str, str, str]:
        """All its streams: steps, journal, feeds, control."""
        return self.steps_stream, self.feed_stream("journal"), self.feed_stream("out"), self.control_stream

    def feed_subject(self, kind: FeedKind, thread: str) -> str:
        """Where the feed's messages of `thread` are, `*` for all threads."""
        return f"relm.{self.machine}.{kind}.{thread}"

    def live_subject(self, kind: FeedKind | Literal["*"], thread: str) -> str:
        """Where the server announces each message of the feed once it is stored, with its sequence; `*` for all."""
        return f"relm.{self.machine}.live.{kind}.{thread}"

    def telemetry_subject(self, thread: str) -> str:
        """Where nodes tell how `thread` goes on, `*` for all threads. No stream takes it."""
        return f"relm.{self.machine}.telemetry.{thread}"

    @property
    def runs_subject(self) -> str:
        """Where nodes ask each other which runs they have in hand. No stream takes it."""
        return f"relm.{self.machine}.runs"

    def consumer(self, store_id: str) -> str:
        """Durable consumer of step hints for one store: a fresh store has a fresh one and is fed from the start."""
        return f"relm_{re.sub(r'[^A-Za-z0-9_-]', '_', store_id)}"

    def control_consumer(self, store_id: str) -> str:
        """Durable consumer of the control lane for one store."""
        return f"{self.consumer(store_id)}_control"


def topology(plan: Plan) -> Topology:
    """The names of `plan`'s machine. Errors: `machine_invalid` for a name that no subject can carry."""
    if not _TOKEN.fullmatch(plan.machine):
        raise RelmError(
            Code.MACHINE_INVALID,
            "name the machine with 1 to 64 letters, digits, '_' or '-': its name is part of subjects",
            machine=plan.machine,
        )
    return Topology(plan.machine, metadata(plan))


def metadata(plan: Plan) -> dict[str, str]:
    """What the streams say about the machine: its name, its digests, and which steps depend on each other."""
    return {
        "machine": plan.machine,
        "laws_digest": plan.laws_digest,
        "matrix_digest": plan.matrix_digest,
        **written(Matrix.of([step.name for step in plan.steps], plan.dependent)),
    }
