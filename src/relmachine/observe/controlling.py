"""Telling a thread something on the control lane, the same for HTTP and MCP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import orjson
from pydantic import Field

from relmachine.errors import Code
from relmachine.kernel.lane import LANE, Effect, LaneName
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import check_thread
from relmachine.kernel.verdicts import Refused
from relmachine.observe.answers import Answer, StepRefused
from relmachine.observe.answers_forking import Asking
from relmachine.observe.forking import Asker
from relmachine.observe.port import Controls
from relmachine.observe.publishing import early_refusal

_TOLD = {
    "cancel": "no commit changes this thread's history any more; go on with `relm thread fork`",
    "pause": "the thread's steps wait; go on with `relm thread resume`",
    "resume": "the thread's steps are decided again",
    "close": "the thread takes no more steps; go on with `relm thread fork`",
    "budget": "the thread's runs may spend this from here on",
}
_SO_ALREADY = "nothing changed: it was so already, or something later was said; `relm thread show` tells how it stands"
_RUN = "the run of that step ends; the thread goes on"


class ControlAsked(Asking):
    """Tell a thread something, ahead of its steps."""

    record: LaneName = Field(description="cancel, pause, resume, close or budget")
    reason: str | None = Field(default=None, description="Why, for whoever reads it later: of cancel, pause and close")
    request: int | None = Field(default=None, description="Of cancel: end only the run of the step at this sequence")
    tokens: int | None = Field(default=None, description="Of budget: model tokens that may still be spent")
    cost: float | None = Field(default=None, description="Of budget: cost that may still be spent")
    wall_seconds: float | None = Field(default=None, description="Of budget: seconds that runs may still take")
    solver_seconds: float | None = Field(
        default=None, description="Of budget: seconds that tools which answer from the machine may still take"
    )
    tool_calls: int | None = Field(default=None, description="Of budget: tool calls that may still be made")

    def payload(self) -> dict[str, object]:
        """The members that were given: what the record does not have, gate 1 refuses."""
        names = {name for model in LANE.values() for name in model.model_fields}
        return {name: value for name in sorted(names) if (value := getattr(self, name)) is not None}


class ControlTold(Answer):
    """What a thread was told, and where it took hold."""

    outcome: Literal["applied", "unchanged"]
    record: str
    thread: str
    sequence: int = Field(description="Place in the control stream")
    repeated: bool = Field(description="Whether it had been said before under this id: nothing changed this time")
    at_sequence: int = Field(description="The thread's cursor when it took hold: the last step decided before it")
    at_history: str = Field(description="The thread's history when it took hold")
    epoch: int = Field(description="The thread's epoch after it: turns that began before it are void")
    sentence: str = Field(description="What is so now, and what to do next")


class ControlAccepted(Answer):
    """The control stream holds it; it has not taken effect within the wait."""

    thread: str
    sequence: int = Field(description="Place in the control stream")
    sentence: str = "it is on its way: ask again with the same id"


async def tell(
    node: Controls,
    limits: Limits,
    asker: Asker,
    thread: str,
    record: str,
    payload: Mapping[str, object],
    seconds: float,
) -> ControlTold | ControlAccepted | StepRefused:
    """Tell `thread` `record` and wait up to `seconds` until it has taken hold.

    Errors: `thread_name_invalid`; `not_found` for a thread on which nothing was ever published; `unreachable`.
    """
    said = await node.control(check_thread(thread, limits), asker.body(record, asker.key(), dict(payload)), seconds)
    if isinstance(said, Refused):
        return early_refusal(said)
    if isinstance(said, int):
        return ControlAccepted(thread=thread, sequence=said)
    return _refused(said) if said.refusal else _told(said)


def _told(effect: Effect) -> ControlTold:
    run = effect.record == "cancel" and "request" in cast("dict[str, object]", orjson.loads(effect.payload))
    return ControlTold(
        outcome="unchanged" if effect.outcome == "unchanged" else "applied",
        record=effect.record,
        thread=effect.thread,
        sequence=effect.control_seq,
        repeated=effect.outcome == "repeated",
        at_sequence=effect.at_seq,
        at_history=effect.at_head,
        epoch=effect.epoch,
        sentence=_SO_ALREADY if effect.outcome == "unchanged" else _RUN if run else _TOLD[effect.record],
    )


def _refused(effect: Effect) -> StepRefused:
    refusal = cast("dict[str, object]", orjson.loads(effect.refusal))
    return StepRefused(
        code=Code(cast(str, refusal["code"])),
        sentence=cast(str, refusal["sentence"]),
        witness=cast("dict[str, object]", refusal["witness"]),
        gate=cast(str, refusal["gate"]),
        thread=effect.thread,
        sequence=effect.control_seq,
    )
