"""A machine whose steps ask a model: symptoms are recorded, a cause is proposed by a model and confirmed by a check."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.hosts.assembly import declared
from relmachine.kernel.answer import Answer, FollowUp, Reason
from relmachine.kernel.control import ANSWER
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.frozen import freeze
from tests.unit.forks.workshop import Workshop


class Empty(BaseModel):
    """No members."""


class Cause(BaseModel):
    """What a model says."""

    cause: str


def machine() -> Machine:
    """Symptoms, a proposed cause, its confirmation, a route, and a note that touches nothing."""
    made = Machine("incident")
    made.claim("observed")
    made.claim("proposed", requires=["observed"])
    made.claim("confirmed", requires=["proposed"])
    made.field("symptom", str, reducer="union")
    made.field("cause", str, reducer="once")
    made.field("noted", int, reducer="sum")
    made.step("observe", kind="process", asserts=["observed"], writes={"symptom": "symptom"})
    made.step("note", kind="process", writes={"noted": "noted"})
    made.step("retract", kind="process", contests=["observed"])

    @made.derivation(
        output=Cause, asserts=["proposed"], reads=["symptom"], writes={"cause": "cause"}, targets=["confirm"]
    )
    def propose(step: Empty, view: View) -> str:
        return f"What explains {view['symptom']}?"

    @made.process(asserts=["confirmed"], reads=["cause"])
    def confirm(step: Empty, view: View) -> Section:
        return Section()

    return made


class Asked(Workshop):
    """A workshop that answers for runs by hand."""

    def answer(self, thread: str, request: int, key: str | None = None, **said: object) -> int:
        """Publish an answer: by default one that is done and proposes the cause `disk`, by the plan of a first run."""
        given: dict[str, object] = {
            "attempt": 1,
            "reason": Reason.DONE,
            "contributions": {"cause": '"disk"'},
            "plan": self.frozen(request),
            **said,
        }
        if given["reason"] is not Reason.DONE:
            given.pop("contributions", None)
        data = Answer(request=request, **given).model_dump(mode="json", exclude_defaults=True)  # pyright: ignore
        self._ids += 1
        body = Envelope(id=key or f"answer-{self._ids}", source="relm:run", type=ANSWER, data=data).wire()
        return self.stream.publish(thread, ANSWER, body)

    def frozen(self, request: int) -> str:
        """The plan that a run of that message is opened with, while its thread has no budget; empty for no message."""
        if request > len(self.stream.messages):
            return "{}"
        message = self.stream.messages[request - 1]
        step = self.plan.steps[self.plan.step_index[message.step_token]]
        assert step.run is not None
        key = Envelope.model_validate_json(message.body).step_key
        return freeze(self.plan, step, key, *declared(step), step.run.budget).text()

    async def table(self, sql: str, *parameters: object) -> list[Mapping[str, object]]:
        """Rows of the store."""
        return list((await self.store.select(sql, parameters)).dicts())


CONFIRM = FollowUp(step="confirm")


async def decide(shop: Asked, thread: str = "t") -> None:
    """Take turns until everything on the stream is decided."""
    end = max(message.sequence for message in shop.stream.threads[thread])
    while (await shop.rounds.run([thread], {thread: end}))[thread] < end:
        pass
