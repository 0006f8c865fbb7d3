"""The tools that every agent may have by name: they answer from the machine and from the step's own view.

They speak of nothing that the step may not look at (`machine.view.visible_claims`), because the derived independence
of steps rests on what each of them looks at. Their docstrings are what a model reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from relmachine.algebra.fibers import Fiber
from relmachine.engine.outputs import proposed
from relmachine.engine.runs.port import RunRequest
from relmachine.errors import Code, RelmError
from relmachine.kernel import standing
from relmachine.kernel.knowledge import element_of, normal_form_of
from relmachine.machine.view import visible_claims

PUBLISH = "publish"
"""The tool that proposes. What it takes is a follow-up of the run once its answer is recorded."""

Claims = Annotated[
    list[str], Field(description="Claims asserted so far, with all that they rest on; [] is the least element")
]


class OwnTools:
    """The tools of one run, each a method of its name. They are pure: the same arguments give the same answer."""

    def __init__(self, request: RunRequest) -> None:
        self._request = request
        self._visible = visible_claims(request.plan, request.step)

    def normalize(self, steps: Annotated[list[str], Field(description="Names of steps in the order they came")]) -> str:
        """The Foata normal form of a sequence of steps under this machine's dependence, such as `(a b)(c)`.

        Two sequences have the same one exactly when they are the same history up to swaps of independent neighbours.
        """
        return normal_form_of(self._request.plan, steps)

    def saturate(self, claims: Claims) -> list[str]:
        """What follows from these claims by deterministic steps, once model judgements are taken as granted."""
        fiber, element = self._element(claims)
        return list(fiber.names(fiber.saturate(element)))

    def transfer(self, claims: Claims) -> list[str]:
        """What follows from these claims without coordination, once claims that can be taken back are granted."""
        fiber, element = self._element(claims)
        return list(fiber.names(fiber.transfer_of(element)))

    def settled(self) -> list[str]:
        """The claims that hold for good in this thread, of those that this step may look at."""
        plan, alive = self._request.plan, self._request.state.alive
        return list(plan.claim_names(standing.settled(plan, alive) & self._visible))

    def publish(
        self,
        step: Annotated[str, Field(description="Name of the step to propose")],
        data: Annotated[dict[str, object], Field(description="Its payload")],
    ) -> dict[str, str]:
        """Propose a step for this thread. It is published when you are done, and passes the same gates as any step."""
        return {"proposed": proposed(self._request.plan, self._request.step, step, data).step}

    def _element(self, claims: Sequence[str]) -> tuple[Fiber, int]:
        """The step's fiber and the element of it that holds `claims`. Errors: `undeclared_read`, `query_refused`."""
        plan, step = self._request.plan, self._request.step
        seen = plan.claim_names(self._visible)
        for name in claims:
            if name not in seen:
                sentence = f"step {step.name!r} may not look at claim {name!r}: take some of {list(seen)}"
                raise RelmError(Code.UNDECLARED_READ, sentence, step=step.name, claim=name)
        fiber = standing.fiber_of(plan, self._request.state.asserted & self._visible)
        return fiber, element_of(fiber, claims)
