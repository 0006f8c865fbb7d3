"""Publishing one step and telling what became of it, the same for HTTP and MCP."""

from __future__ import annotations

from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import check_thread
from relmachine.kernel.verdicts import Refused
from relmachine.observe.answers import StepAccepted, StepCommitted, StepRefused, Transition
from relmachine.observe.port import NodeView


async def submit_one(node: NodeView, thread: str, body: bytes, limits: Limits) -> StepAccepted | StepRefused:
    """Publish the CloudEvent in `body` on `thread`. Errors: `thread_name_invalid`, and what the node raises."""
    check_thread(thread, limits)
    (answer,) = await node.submit(thread, [body])
    if isinstance(answer, Refused):
        return early_refusal(answer)
    return StepAccepted(thread=answer.thread, sequence=answer.sequence, duplicate=answer.duplicate)


def early_refusal(refused: Refused) -> StepRefused:
    """What a gate said before the step reached the stream: it has no sequence and left no trace."""
    refusal = refused.refusal
    return StepRefused(
        code=refusal.code,
        sentence=refusal.sentence,
        witness=dict(refusal.witness),
        gate=refusal.gate,
        thread=refused.candidate.thread,
        sequence=None,
    )
