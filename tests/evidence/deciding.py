"""A whole node that decides the log and the flood, and what is on its stream then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from relmachine.engine.models import ModelBounds
from relmachine.ingest.steps import survey
from relmachine.kernel.candidate import Message
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.lane import CANCEL, Effect
from relmachine.kernel.limits import Limits
from relmachine.machine import Machine
from relmachine.node import Node, Settings
from relmachine.node.log_replay import Target, replay_log
from relmachine.store.reading import threads_behind
from relmachine.stream.direct import DirectReader
from relmachine.stream.port import Outgoing
from relmachine.stream.topology import topology
from tests import permit
from tests.evidence import flood
from tests.evidence.asking import HANGS, Crowd, bind, machine

SECONDS_MAX = 120.0

_POLL_SECONDS = 0.1
_MESSAGES_MAX = 100_000
_UNDER_WAY = """
SELECT (SELECT count(*) FROM runs) - (SELECT count(*) FROM run_ends)
  + (SELECT count(*) FROM held) - (SELECT count(*) FROM held_ends) + (SELECT count(*) FROM outbox WHERE kind = 'step')
"""


def decided(folder: Path) -> list[Message]:
    """Leave the node's store and stream in `folder`; returns every message of its threads, its own among them."""
    made, grants = machine(), folder / "grants.json"
    everything = {name: ["*"] for name in ("principals", "machines", "threads")}
    steps = ["_*", *(name for name in made.declaration.steps if name != "sealed")]
    allowed = {**everything, "steps": steps, "sizes": ["small", "medium", "large"], "rates": ["normal"]}
    grants.write_text(json.dumps({"grants": [allowed]}))
    settings = Settings(data_dir=folder, grants=grants, http=False, limits=Limits(run_attempts_max=2))
    return asyncio.run(_decided(made, settings))


async def _decided(made: Machine, settings: Settings) -> list[Message]:
    async def overtake(thread: str, number: int) -> None:
        await _take(node, [flood.step(thread, "observe", f"{thread}/{number}", symptom=f"symptom {number}")])

    crowd = Crowd(asyncio.get_running_loop(), overtake)
    bind(made, crowd)
    async with asyncio.timeout(SECONDS_MAX), Node.running(made, settings) as node:
        await replay_log(Target(node.stream.publisher, node.store, node.pids()), made, survey(made, permit.LOG))
        runs = [step for end in flood.ENDS if end != HANGS for step in flood.asked(end)]
        await _take(node, [*flood.of_the_log(), *flood.held(), *flood.failed(), *runs])
        await _rest(node)
        hanging = list(flood.asked(HANGS))
        sequences = await _take(node, hanging)
        await _until(lambda: crowd.hanging >= ModelBounds().requests_in_flight_max)  # the others wait for a place
        asked = {step.thread: sequence for step, sequence in reversed([*zip(hanging, sequences, strict=True)])
                 if step.step_token == "think"}  # fmt: skip
        await asyncio.gather(*(_cancel(node, thread, request) for thread, request in asked.items()))
        return await _rest(node)


async def _take(node: Node, steps: list[Outgoing]) -> list[int]:
    """Publish the steps, and wait until they are decided, or opened, or held; returns their sequences."""
    sequences = [published.sequence for published in await node.stream.publisher.publish(steps)]
    last = dict(zip((step.thread for step in steps), sequences, strict=True))
    while await threads_behind(node.store, last):  # noqa: ASYNC110 - it is the store that tells
        await asyncio.sleep(_POLL_SECONDS)
    return sequences


async def _cancel(node: Node, thread: str, request: int) -> None:
    """End the run; of every other thread, the whole thread."""
    whole = int(thread.rpartition("-")[2]) % 2
    data: dict[str, object] = {"reason": "enough"} if whole else {"reason": "enough", "request": request}
    body = Envelope(id=f"cancel {thread}", source="flood", type=CANCEL, data=data, principal="ann").wire()
    effect = await node.control(thread, body, SECONDS_MAX)
    assert isinstance(effect, Effect) and effect.outcome == "applied", effect


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
        await asyncio.sleep(_POLL_SECONDS)


async def _rest(node: Node) -> list[Message]:
    """Wait until nothing is under way, and every message on the stream is decided; returns them all."""
    while True:
        ((under_way,),) = (await node.store.select(_UNDER_WAY)).rows
        if not under_way:
            messages = await _messages(node)
            if not await threads_behind(node.store, {message.thread: message.sequence for message in messages}):
                return messages
        await asyncio.sleep(_POLL_SECONDS)


async def _messages(node: Node) -> list[Message]:
    names = topology(node.plan)
    read = (names.steps_subjects, 0, _MESSAGES_MAX)
    (stored,) = await DirectReader(node.stream.connection).read_many(names.steps_stream, [read])
    return [Message(one.sequence, *one.subject.split(".")[3:5], one.body) for one in stored]
