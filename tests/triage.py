"""The triage example in tests: its machine with a model that is counted, and may be held."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pydantic_ai.models
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel

from relmachine.cli import demo_agents
from relmachine.machine import Machine
from relmachine.machine.loader import load
from relmachine.node import Node
from relmachine.observe.port import Accepted
from relmachine.store import reading

pydantic_ai.models.ALLOW_MODEL_REQUESTS = False

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "triage"
HOLD = "the hypothesiser is to wait"
"""A symptom of which the model thinks until it is released."""

SECONDS_MAX = 30.0
LOOK_SECONDS = 0.02
Data = Mapping[str, object]
DISK_FULL: tuple[Data, Data] = (
    {"service": "checkout", "symptom": "orders fail", "line": demo_agents.LINE},
    {"disk_used": 0.99, "error_rate": 0.12, "minutes_since_deploy": 2880},
)
"""What is observed and measured when a disk is full."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The rules of the example as a model that is counted: `asked` has the prompt's length for each question."""

    machine: Machine = field(default_factory=lambda: load(FOLDER))
    asked: list[int] = field(default_factory=list[int])
    held: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        rules = cast("Any", self.machine.declaration.models["default"]).function

        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.asked.append(len(messages))
            if HOLD in str(messages[0]):
                self.held.release()
                await asyncio.to_thread(self.released.wait, SECONDS_MAX)
            return cast(ModelResponse, rules(messages, info))

        self.machine.model("default", FunctionModel(answer))


async def publish(node: Node, thread: str, step: str, data: Data | None = None) -> int:
    """Publish a step under a new id; its sequence in the stream."""
    head = {"specversion": "1.0", "source": "test", "id": uuid4().hex, "type": step, "principal": "ada"}
    (accepted,) = await node.submit(thread, [json.dumps({**head, "data": data or {}}).encode()])
    assert isinstance(accepted, Accepted), accepted
    return accepted.sequence


async def work(node: Node, thread: str, steps: Sequence[tuple[str, Data]], last: str) -> None:
    """Publish steps and wait until a step `last` after them is decided, or any is refused."""
    published = [await publish(node, thread, step, data) for step, data in steps]
    async with (
        asyncio.timeout(SECONDS_MAX),
        node.stream.follow("journal", thread, after=0, from_sequence=published[0]) as feed,
    ):
        async for message in feed:
            for told in json.loads(message.body)["outcomes"]:
                if told["outcome"] == "refused" or (told["step"], told["outcome"]) == (last, "committed"):
                    return


async def incident(node: Node, thread: str) -> None:
    """A disk that is full, from what was seen to the filed report."""
    observed, measured = DISK_FULL
    await work(node, thread, [("observe", observed), ("measure", measured), ("hypothesise", {})], "file_report")


async def until(node: Node, thread: str, claim: str, standing: str) -> None:
    """Return when `claim` stands so in the store of `node`, which may be behind the feeds of another."""
    async with asyncio.timeout(SECONDS_MAX):
        while not (await node.store.states([thread])) or (await standings(node, thread))[claim] != standing:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)


async def standings(node: Node, thread: str) -> dict[str, str]:
    """Where each claim stands."""
    return {line.claim: str(line.standing) for line in await reading.standings(node.store, thread)}


async def identity(node: Node, thread: str) -> object:
    """All ids and digests of a thread: events, histories, section, fiber."""
    standing = await reading.thread(node.store, thread)
    events = [(line.event, line.history) for line in await reading.events(node.store, thread)]
    return events, standing.section_digest, standing.fiber, standing.settled
