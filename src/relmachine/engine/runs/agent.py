"""An agent of one run: its conversations share what was found, the model that answers, and the tools."""

from __future__ import annotations

from pydantic import BaseModel

from relmachine.engine.outputs import mapped
from relmachine.engine.runs.choice import Choice
from relmachine.engine.runs.conversation import Conversation
from relmachine.engine.runs.loop import converse
from relmachine.engine.runs.passes import Passes
from relmachine.engine.runs.reading import Accept
from relmachine.engine.runs.registry import Registry
from relmachine.engine.runs.running import Running
from relmachine.engine.runs.talk import Talk


class Agent:
    """Asks models for one run."""

    def __init__(self, running: Running) -> None:
        self.tools = Registry(running)
        self._running = running
        self._passes, self._choice = Passes(running.recorder), Choice(running)

    async def ask(
        self, prompt: str, output: type[BaseModel] | None, accept: Accept, *, tools: bool, model: str | None = None
    ) -> object:
        """What the model's answer is taken for. Raises `RunEnded` when there is none."""
        registry = self.tools if tools else None
        offered = () if registry is None else registry.definitions()
        conversation = Conversation(self._running.plan.instructions, output, offered)
        conversation.tell(prompt)
        choice = self._choice if model is None else Choice(self._running, model)
        talk = Talk(self._running, self._passes, choice, conversation, accept, registry)
        return await converse(talk, self._running.request.frozen.budget.passes)


async def answer_of(running: Running, prompt: str) -> object:
    """The model's structured answer to `prompt` as contributions and follow-ups (`outputs.Taken`)."""
    run, request = running.plan, running.request
    assert run.output is not None, "a machine that passes its check gives every such step an output"

    def accept(output: BaseModel) -> object:
        return mapped(request.plan, request.step, run.members, output)

    return await Agent(running).ask(prompt, run.output, accept, tools=True)
