"""One conversation of an agent, pass by pass: decide, invoke, evaluate. Every end is decided here, in code."""

from __future__ import annotations

from typing import cast

from pydantic import ValidationError

from relmachine.engine.runs.choice import Choice
from relmachine.engine.runs.conversation import Conversation
from relmachine.engine.runs.ended import RunEnded
from relmachine.engine.runs.passes import Passes, Result
from relmachine.engine.runs.reading import Accept, Answered, Calls, Invalid, Read, read
from relmachine.engine.runs.registry import Misuse, Registry
from relmachine.engine.runs.running import Running
from relmachine.engine.words import problems
from relmachine.errors import Code
from relmachine.kernel.answer import Decision, Reason


class Talk:
    """One conversation on its way to one output. Its three methods are the nodes of the graph (`engine.runs.loop`)."""

    def __init__(
        self,
        running: Running,
        passes: Passes,
        choice: Choice,
        conversation: Conversation,
        accept: Accept,
        tools: Registry | None,
    ) -> None:
        """Without `tools` the model has none."""
        self.turn: Read | Decision | None = None
        self.over: RunEnded | None = None
        self._running, self._passes, self._choice, self._conversation = running, passes, choice, conversation
        self._accept, self._tools = accept, tools
        self._budget = running.request.frozen.budget
        self._results: list[Result] = []
        self._failures = self._repeats = 0

    async def decide(self) -> None:
        """Ask the model, within its budget, and read its answer. A decision without a value stays one."""
        cap = self._budget.passes
        if len(self._running.recorder.passes) >= cap:
            sentence = f"{cap} passes led to no answer: allow more, or ask for less"
            raise self._running.ended(Reason.CAP, Code.RUN_CAP, sentence, passes=cap)
        over = self._running.spending.over(self._choice.name)
        if over is not None and not self._choice.degrade():
            raise self._running.out_of_budget(over)
        decision = await self._conversation.ask(self._running, self._choice)
        self.turn, self._results = decision, []
        if not decision.error:
            self.turn = self._read(decision.value)

    def _read(self, value: str) -> Read:
        try:
            response = self._conversation.hear(value)
        except ValidationError as error:
            return Invalid(f"your answer could not be read: {problems(error)}")
        return read(response, self._conversation.output, self._accept, self._tools)

    async def invoke(self) -> None:
        """Make the calls that can be made, one after the other, and tell the model what each gave."""
        for call in cast(Calls, self.turn).calls:
            if isinstance(call, Misuse):
                result, error = "", call.sentence
            else:
                decision = await cast(Registry, self._tools).call(call)
                result, error = decision.value, decision.error
            self._results.append((call, result, error))
            self._conversation.give(call.call_id, call.name, result, error)

    def evaluate(self) -> None:
        """Add the pass, say what was wrong, and end what makes no headway."""
        match self.turn:
            case Answered(text=text):
                self._passes.answered(text)
            case Calls():
                self._called()
            case Invalid() as invalid:
                self._correct(invalid)
            case Decision(error=error):
                self._failed(error)
            case None:
                raise AssertionError("nothing was decided")

    def _called(self) -> None:
        new = self._passes.called(self._results)
        if all(isinstance(call, Misuse) for call, _, _ in self._results):
            self._fail(self._results[-1][2])
            return
        self._failures = 0
        self._repeats = 0 if new else self._repeats + 1
        repeats = self._budget.repeats
        if self._repeats >= repeats:
            sentence = f"{repeats} passes in a row found nothing new: the same calls give the same results"
            raise self._running.ended(Reason.NO_PROGRESS, Code.RUN_STUCK, sentence, repeats=repeats)

    def _correct(self, invalid: Invalid) -> None:
        for part in invalid.calls:
            self._conversation.give(part.tool_call_id, part.tool_name, "", invalid.sentence)
        if not invalid.calls:
            self._conversation.tell(invalid.sentence)
        self._passes.wrong("retry", invalid.text, invalid.sentence)
        self._fail(invalid.sentence)

    def _failed(self, error: str) -> None:
        """The model gave no answer, or one that is not kept. One that gives none was asked with patience: its fallback
        goes on at once.
        """
        code = error.partition(": ")[0]
        if code in (Code.LIMIT_EXCEEDED, Code.TEXT_INVALID):
            self._conversation.tell(f"your last answer was not read: {error}")
            self._passes.wrong("retry", "", error)
            self._fail(error)
            return
        self._passes.wrong("fail", "", error)
        if self._choice.degrade():
            self._failures = 0
            return
        at_once = code == Code.MODEL_UNBOUND
        self._fail(error, Code(code) if code in (Code.MODEL_UNBOUND, Code.MODEL_FAILED) else Code.MODEL_FAILED, at_once)

    def _fail(self, why: str, code: Code = Code.RUN_FAILED, at_once: bool = False) -> None:
        """One more failure in a row."""
        self._failures += 1
        if not at_once and self._failures < self._budget.failures:
            return
        sentence = f"model {self._choice.name!r} gave nothing that counts, {self._failures} times in a row: {why}"
        raise self._running.ended(Reason.FATAL, code, sentence[:1000], model=self._choice.name)
