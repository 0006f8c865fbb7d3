"""What the turns of a round are about: a run of steps, one control record, or one step outside its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relmachine.kernel.control import ANSWER, RECORDS, RELEASE

if TYPE_CHECKING:
    from relmachine.kernel.candidate import Message
    from relmachine.machine.plan import Plan


@dataclass(slots=True)
class Parted:
    """By thread: `steps` that are decided together, or one of `records`, or one of `runs` (a request, an
    answer, or a release)."""

    steps: dict[str, Sequence[Message]] = field(default_factory=dict[str, "Sequence[Message]"])
    records: dict[str, Message] = field(default_factory=dict[str, "Message"])
    runs: dict[str, Message] = field(default_factory=dict[str, "Message"])


class Parting:
    """Parts the messages of one machine."""

    def __init__(self, plan: Plan) -> None:
        self._runs = frozenset((ANSWER, RELEASE, *(step.name for step in plan.steps if step.detached)))
        self._alone = self._runs | RECORDS.keys()

    def part(self, messages: Mapping[str, Sequence[Message]]) -> Parted:
        """Of each thread the steps before the first message that takes a turn of its own, or that message."""
        parted = Parted()
        for thread, batch in messages.items():
            end = next((place for place, message in enumerate(batch) if message.step_token in self._alone), len(batch))
            if end or not batch:
                parted.steps[thread] = batch[:end]
            elif batch[0].step_token in self._runs:
                parted.runs[thread] = batch[0]
            else:
                parted.records[thread] = batch[0]
        return parted
