"""From the traces of a log to the steps of a machine: one thread a case, one step an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relmachine.errors import Code, RelmError
from relmachine.ingest.fault import Fault
from relmachine.ingest.members import payload, sources
from relmachine.ingest.xes import Attributes, Trace
from relmachine.kernel.candidate import UNKNOWN_STEP_TOKEN
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import encode_thread
from relmachine.machine.machine import Machine

_NAME = "concept:name"
_TYPE_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class LogStep:
    """A step to publish on `thread`: its name, or `_` for an activity without a step, and its wire form."""

    thread: str
    step_token: str
    body: bytes


def cases(
    machine: Machine, found: Iterable[Trace], source: str, limits: Limits, principal: str
) -> Iterator[LogStep | Fault]:
    """The events of `found` in their order. Traces of one name are one case, and its index counts on.

    Ids are `<thread>/<index in the case>` under `source`. A trace that can name no thread is one fault, an event too
    large for the wire another.
    """
    writer = _Writer(machine, source, principal)
    counts: dict[str, int] = {}
    for trace in found:
        if not trace.events:
            continue
        try:
            thread = _thread(trace, limits)
        except RelmError as error:
            yield Fault(f"trace {trace.number}", error)
            continue
        first = counts.get(thread, 0)
        counts[thread] = first + len(trace.events)
        for index, event in enumerate(trace.events):
            step = writer.step(thread, first + index, event, trace.attributes)
            if len(step.body) > limits.payload_bytes_max:
                yield Fault(f"trace {trace.number}, event {index + 1}", _too_long(len(step.body), limits))
            else:
                yield step


class _Writer:
    """Writes envelopes for one machine. What a step takes from an event is worked out once for each step."""

    def __init__(self, machine: Machine, source: str, principal: str) -> None:
        self._names = machine.ingest.names
        scope, _, self._principal_key = machine.ingest.principal.partition(":")
        self._principal_of_trace = scope == "trace"
        self._wanted = {step.name: sources(step, machine.ingest.payload) for step in machine.plan().steps}
        self._attributes = {
            "source": source,
            "machine": machine.name,
            "machineversion": machine.version,
            "principal": principal,
        }

    def step(self, thread: str, index: int, event: Attributes, trace: Attributes) -> LogStep:
        activity = event[_NAME].text if _NAME in event else ""
        step = self._names.get(activity, "")
        wanted = self._wanted.get(step)
        envelope = Envelope.model_validate(
            {
                **self._attributes,
                "id": f"{thread}/{index}",
                "type": step or activity[:_TYPE_CHARACTERS_MAX] or UNKNOWN_STEP_TOKEN,
                "subject": thread,
                "data": payload(wanted or (), event, trace),
                "principal": self._principal(event, trace),
            }
        )
        return LogStep(thread, UNKNOWN_STEP_TOKEN if wanted is None else step, envelope.wire())

    def _principal(self, event: Attributes, trace: Attributes) -> str:
        """Who did the step, as the log says; whoever replays it where it does not."""
        attribute = (trace if self._principal_of_trace else event).get(self._principal_key)
        said = "" if attribute is None else attribute.text[:_TYPE_CHARACTERS_MAX]
        return said or self._attributes["principal"]


def _thread(trace: Trace, limits: Limits) -> str:
    name = trace.attributes.get(_NAME)
    if name is None:
        raise RelmError(Code.THREAD_NAME_INVALID, f"give every trace a {_NAME}: it names the thread")
    return encode_thread(name.text, limits)


def _too_long(size: int, limits: Limits) -> RelmError:
    return RelmError(
        Code.PAYLOAD_TOO_LARGE,
        f"send at most {limits.payload_bytes_max} bytes for an event",
        payload_bytes_max=limits.payload_bytes_max,
        bytes=size,
    )
