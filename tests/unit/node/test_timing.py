"""Goal: timing a gate changes nothing of what it says, and counts what it was asked. Method: gates that say what they
were asked, and one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from relmachine.errors import Code
from relmachine.gates.port import LawCase
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine import Machine
from relmachine.node.timing import GateTimes, TimedConstraints, TimedLaws, TimedPolicy, TimedShape

REFUSAL = Refusal(Code.POLICY_DENIED, GateName.POLICY, "no", {})


def _shapes() -> tuple[ShapeGate, TimedShape, GateTimes]:
    machine = Machine("desk")
    machine.step("look", kind="process")
    plan, times = machine.plan(), GateTimes()
    return ShapeGate(plan, Limits()), TimedShape(plan, Limits(), times), times


def test_gate_1_says_the_same_and_every_message_counts() -> None:
    plain, timed, times = _shapes()
    bodies = [orjson.dumps({"id": "1", "source": "s", "type": "look"}), b"oops"]
    messages = [Message(number, "t", "look", body) for number, body in enumerate(bodies, start=1)]
    assert [timed.check(message) for message in messages] == [plain.check(message) for message in messages]
    assert (times.gates["shape"].questions, times.gates["shape"].steps) == (2, 2)
    assert times.gates["shape"].seconds > 0


class _Gates:
    """All three other gates at once."""

    revision = "r1"

    async def decide(self, steps: Sequence[Candidate]) -> list[Refusal | None]:
        return [REFUSAL for _ in steps]

    async def admit(self, cases: Sequence[LawCase]) -> list[list[Refusal | None]]:
        return [[REFUSAL for _ in case.steps] for case in cases]

    async def check(self, proposals: Sequence[Proposal]) -> list[dict[int, Refusal]]:
        raise RuntimeError("out of order")


def test_the_other_gates_say_the_same_and_a_failing_one_counts_too() -> None:
    plain, _, times = _shapes()
    step = Candidate(1, "t", "look", "k", "{}", "d")
    case = LawCase(initial_state(plain.plan, "t"), [step, step, step], [{}, {}, {}])
    policy = TimedPolicy(_Gates(), times)
    assert asyncio.run(policy.decide([step, step])) == [REFUSAL, REFUSAL]
    assert policy.revision == "r1"
    assert asyncio.run(TimedLaws(_Gates(), times).admit([case])) == [[REFUSAL] * 3]
    with pytest.raises(RuntimeError):
        asyncio.run(TimedConstraints(_Gates(), times).check([]))
    told = {name: (spent["questions"], spent["steps"]) for name, spent in times.as_json().items()}
    assert told == {"shape": (0, 0), "policy": (1, 2), "laws": (1, 3), "constraints": (1, 0)}
