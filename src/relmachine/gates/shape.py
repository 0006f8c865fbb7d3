"""Gate 1, shape: from a message of a thread's subject to a candidate, or to the reason why it is none.

Pure: the answer depends on the message, the plan and the limits only, so the interface may ask it too, as an early
answer to whoever publishes. A candidate's payload is the canonical text of the *validated* payload: only the members
that were sent, datetimes in UTC, so that two spellings of one payload have one digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from relmachine.algebra.identity import payload_digest
from relmachine.errors import Code, RelmError
from relmachine.gates.control_shape import control_payload
from relmachine.gates.nearest import unknown_step
from relmachine.kernel.answer import RUN_SOURCE
from relmachine.kernel.candidate import UNKNOWN_STEP_TOKEN, Candidate, Message
from relmachine.kernel.control import ANSWER, RECORDS, RELEASE
from relmachine.kernel.envelope import OWN_SOURCES, Envelope
from relmachine.kernel.follow_ups import FOLLOW_UP_SOURCE, RELEASE_SOURCE
from relmachine.kernel.limits import Limits
from relmachine.kernel.parsing import parse
from relmachine.kernel.problems import problems
from relmachine.kernel.thread_token import check_thread
from relmachine.kernel.verdicts import GateName, Refusal, Refused
from relmachine.machine.canonical import canonical_text, canonical_time
from relmachine.machine.own_law import principals_read
from relmachine.machine.plan import Plan, StepPlan

_NOBODY = frozenset[str]()
_OWN_SOURCE = {ANSWER: RUN_SOURCE, RELEASE: RELEASE_SOURCE}
_Contributions = tuple[tuple[str, str], ...]


class Read(NamedTuple):
    """An envelope with its step key, and its time as canonical text."""

    envelope: Envelope
    key: str
    time: str | None


@dataclass(frozen=True, slots=True, eq=False)
class ShapeGate:
    """Decides whether a message says something that `plan` understands, within `limits`."""

    plan: Plan
    limits: Limits

    @property
    def _named(self) -> frozenset[str]:
        """Step types of which it matters who published them."""
        return principals_read(self.plan.own_laws) if self.plan.own_laws else _NOBODY

    def check(self, message: Message) -> Candidate | Refused:
        """The candidate in `message`, or a refusal with as much of the candidate as could be read.

        A message whose envelope cannot be read has no step key: its refusal is not `keyed`.
        """
        try:
            read = self.read(message)
        except RelmError as error:
            return Refused(_candidate(message), _refusal(error), keyed=False)
        payload = ""
        try:
            payload = canonical_text(read.envelope.data)
            self.check_address(message, read.envelope)
            if message.step_token in RECORDS:
                payload, recorded = control_payload(message.step_token, read.envelope.type, payload, self.limits), ()
            else:
                step = self._step(message, read.envelope)
                payload, recorded = _validated(step, payload)
                return _candidate(message, read, payload, recorded, step.name in self._named)
        except RelmError as error:
            return Refused(_candidate(message, read, payload), _refusal(error))
        return _candidate(message, read, payload, recorded)

    def read(self, message: Message) -> Read:
        """The envelope in `message`, with its key. Errors: as of `parse`; `envelope_invalid` for a key too long."""
        envelope = parse(message.body, self.limits)
        key = envelope.step_key
        longest = self.limits.step_key_characters_max
        if len(key) > longest:
            raise RelmError(
                Code.ENVELOPE_INVALID,
                f"use at most {longest} characters for source and id together, as a JSON array",
                step_key_characters_max=longest,
                length=len(key),
            )
        if envelope.source.startswith(OWN_SOURCES) and envelope.source != _own_source(message.step_token):
            sentence = f"choose another source: those that begin with {OWN_SOURCES!r} are the nodes' own"
            raise RelmError(Code.ENVELOPE_INVALID, sentence, source=envelope.source)
        return Read(envelope, key, None if envelope.time is None else canonical_time(envelope.time))

    def check_address(self, message: Message, envelope: Envelope) -> None:
        """Errors: `thread_name_invalid`, `thread_mismatch`, `machine_mismatch`, `machine_version`."""
        check_thread(message.thread, self.limits)
        for code, what, said, meant in (
            (Code.THREAD_MISMATCH, "subject", envelope.subject, message.thread),
            (Code.MACHINE_MISMATCH, "machine", envelope.machine, self.plan.machine),
            (Code.MACHINE_VERSION, "machineversion", envelope.machineversion, self.plan.version),
        ):
            if said is not None and said != meant:
                sentence = f"this message was read for {what} {meant!r}: publish it there, or correct or omit {what!r}"
                raise RelmError(code, sentence, expected=meant, found=said)

    def _step(self, message: Message, envelope: Envelope) -> StepPlan:
        """The step type that the message names. Errors: `unknown_step`."""
        token, name = message.step_token, envelope.type
        if token not in (UNKNOWN_STEP_TOKEN, name):
            sentence = f"'type' must be the last token of the subject, {token!r}"
            raise RelmError(Code.UNKNOWN_STEP, sentence, expected=token, found=name)
        step = None if token == UNKNOWN_STEP_TOKEN else self.plan.step(name)
        if step is None:
            raise unknown_step(self.plan, name, activity=token == UNKNOWN_STEP_TOKEN)
        return step


def _own_source(token: str) -> str | None:
    """The source under which nodes publish messages of that token by themselves; None for what they never do."""
    return _OWN_SOURCE.get(token) if token in RECORDS else FOLLOW_UP_SOURCE


def _validated(step: StepPlan, raw: str) -> tuple[str, _Contributions]:
    """Canonical text of the payload as `step` understands it, and the contributions that it makes by itself."""
    try:
        payload = _understood(step, raw)
    except RelmError:
        raise
    except ValidationError as error:
        sentence = f"send the payload that step {step.name!r} declares; the witness names what is wrong"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, problems=problems(error)) from error
    except Exception as error:  # a declared validator may raise anything, and no message may stop a thread
        sentence = f"a validator of step {step.name!r} failed on this payload: correct the payload or the validator"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, problems=[f"value: {type(error).__name__}: {error}"]) from error
    recorded = [(field, canonical_text(payload[member])) for field, member in step.recorded if member in payload]
    return canonical_text(payload), tuple(sorted(recorded))


def _understood(step: StepPlan, raw: str) -> dict[str, object]:
    """The members that were sent, validated by a model that refuses all others (as every plan's models do).

    Strict as JSON is: a datetime is text, but "5" is no integer.
    """
    model = step.payload_model.model_validate_json(raw, strict=True)
    sent = model.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)
    return {name: canonical_time(value) if type(value) is datetime else value for name, value in sent.items()}


def _candidate(
    message: Message, read: Read | None = None, payload: str = "", recorded: _Contributions = (), named: bool = False
) -> Candidate:
    if read is None:
        content = payload_digest(payload)
        return Candidate(message.sequence, message.thread, message.step_token, "", payload, content)
    content = payload_digest(payload, read.envelope.principal if named else None)
    return Candidate(
        message.sequence,
        message.thread,
        message.step_token,
        read.key,
        payload,
        content,
        recorded,
        read.envelope.principal,
        read.time,
        read.envelope.traceparent,
        read.envelope.hops,
        read.envelope.following,
    )


def _refusal(error: RelmError) -> Refusal:
    return Refusal(error.code, GateName.SHAPE, error.sentence, error.witness)
