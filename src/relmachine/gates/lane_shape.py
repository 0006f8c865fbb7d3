"""Gate 1 for the control lane: from a message of `relm.<machine>.control.<thread>` to a candidate, or why none."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from relmachine.algebra.identity import payload_digest
from relmachine.errors import Code, RelmError
from relmachine.gates.shape import Read, ShapeGate
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.lane import LANE, policy_step
from relmachine.kernel.limits import Limits
from relmachine.kernel.problems import problems
from relmachine.kernel.verdicts import GateName, Refusal, Refused
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Plan


@dataclass(frozen=True, slots=True)
class LaneShape:
    """Decides whether a message is a lane record. A candidate's step is the name that the policy knows it by."""

    plan: Plan
    limits: Limits

    def check(self, message: Message) -> Candidate | Refused:
        """The candidate in `message`, or a refusal with as much of the candidate as could be read."""
        gate = ShapeGate(self.plan, self.limits)
        candidate = Candidate(message.sequence, message.thread, "", "", "", payload_digest(""))
        try:
            read = gate.read(message)
            candidate = _candidate(message, read, canonical_text(read.envelope.data))
            gate.check_address(message, read.envelope)
            return _candidate(message, read, _payload(read.envelope, candidate.payload))
        except RelmError as error:
            refusal = Refusal(error.code, GateName.SHAPE, error.sentence, error.witness)
            return Refused(candidate, refusal, keyed=bool(candidate.step_key))


def _candidate(message: Message, read: Read, payload: str) -> Candidate:
    envelope = read.envelope
    return Candidate(
        message.sequence,
        message.thread,
        policy_step(envelope.type),
        read.key,
        payload,
        payload_digest(payload),
        (),
        envelope.principal,
        read.time,
        envelope.traceparent,
    )


def _payload(envelope: Envelope, content: str) -> str:
    """Canonical text of the payload without members that say nothing. Errors: `unknown_step`, `payload_invalid`."""
    if envelope.type not in LANE:
        known = ", ".join(sorted(LANE))
        raise RelmError(Code.UNKNOWN_STEP, f"tell a thread one of: {known}", found=envelope.type, known=sorted(LANE))
    try:
        record = LANE[envelope.type].model_validate_json(content)
    except ValidationError as error:
        sentence = f"send the payload that {envelope.type!r} has; the witness names what is wrong"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, problems=problems(error)) from error
    return canonical_text(record.model_dump(mode="json", exclude_none=True))
