"""A log as steps to publish. The same log gives the same step keys, whoever reads it and however often.

The key of an XES event is (digest of the decompressed log, case and index in the case); a CloudEvents line has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.ingest.cloudevents import Line, lines
from relmachine.ingest.fault import Fault
from relmachine.ingest.members import Source, payload, sources
from relmachine.ingest.reading import Form, open_log
from relmachine.ingest.xes import Trace, traces
from relmachine.kernel.envelope import ANONYMOUS, UNKNOWN_STEP_TOKEN, Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import encode_thread
from relmachine.machine.machine import Machine

FAULTS_KEPT_MAX = 20
"""Faults that a survey keeps; it counts them all."""

_NAME = "concept:name"
_ACTIVITY_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class Log:
    """What one pass over a log tells: SHA-256 of its decompressed bytes, its steps, and what cannot become one."""

    path: Path
    form: Form
    digest: str
    steps: int
    faulty: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class LogStep:
    """A step to publish on `thread`: its name, or `_` for an activity without a step, and its wire form."""

    thread: str
    step_token: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Case:
    """A trace with the subject token of its case, and the index in the case of its first event."""

    thread: str
    first: int
    trace: Trace


def survey(path: Path, limits: Limits | None = None) -> Log:
    """Read the whole log once, so that what is wrong with it is known before anything is published.

    Errors: `not_found`, `log_truncated`, `log_invalid`, `limit_exceeded`; `log_empty` when it holds no event.
    """
    form, chunks = open_log(path)
    hasher = sha256()
    steps = faulty = 0
    faults: list[Fault] = []
    for record in _records(form, _hashed(chunks, hasher.update), limits or Limits()):
        match record:
            case Fault():
                faulty += 1
                faults.extend([record] if len(faults) < FAULTS_KEPT_MAX else [])
            case Line():
                steps += 1
            case _Case(trace=trace):
                steps += len(trace.events)
    if not steps and not faulty:
        raise RelmError(Code.LOG_EMPTY, "the log has no events: give one with at least one trace", path=str(path))
    return Log(path, form, hasher.hexdigest(), steps, faulty, tuple(faults))


def outgoing_steps(
    machine: Machine, log: Log | Path, limits: Limits | None = None, principal: str = ANONYMOUS
) -> Iterator[LogStep]:
    """The steps of `log` in its order, exactly `log.steps` of them; faults are passed over. A path is surveyed first.

    Errors: those of `survey`; `log_invalid` at the end when the file is no longer the one surveyed.
    """
    limits = limits or Limits()
    if isinstance(log, Path):
        log = survey(log, limits)
    form, chunks = open_log(log.path)
    hasher = sha256()
    writer = _Writer(machine, f"urn:relm:log:{log.digest}", principal)
    for record in _records(form, _hashed(chunks, hasher.update), limits):
        match record:
            case Line():
                yield writer.line(record)
            case _Case():
                yield from writer.case(record)
            case Fault():
                pass
    if hasher.hexdigest() != log.digest:
        sentence = "the log changed while it was read: replay it again when it is at rest"
        raise RelmError(Code.LOG_INVALID, sentence, path=str(log.path))


class _Writer:
    """Writes envelopes for one machine. What a step takes from an event is worked out once for each step."""

    def __init__(self, machine: Machine, source: str, principal: str) -> None:
        plan = machine.plan()
        self._steps = plan.step_index
        self._names: Mapping[str, str] = machine.ingest.names
        self._wanted = {step.name: sources(step, machine.ingest.payload) for step in plan.steps}
        self._attributes = {
            "source": source,
            "machine": machine.name,
            "machineversion": machine.version,
            "principal": principal,
        }

    def line(self, line: Line) -> LogStep:
        return LogStep(line.thread, self._token(line.type), line.body)

    def case(self, case: _Case) -> Iterator[LogStep]:
        trace = case.trace
        for index, event in enumerate(trace.events, start=case.first):
            activity = event[_NAME].text if _NAME in event else ""
            step = self._names.get(activity, "")
            token = self._token(step)
            wanted: tuple[Source, ...] = self._wanted.get(step, ())
            envelope = Envelope.model_validate(
                {
                    **self._attributes,
                    "id": f"{case.thread}/{index}",
                    "type": step or activity[:_ACTIVITY_CHARACTERS_MAX] or UNKNOWN_STEP_TOKEN,
                    "subject": case.thread,
                    "data": payload(wanted, event, trace.attributes),
                }
            )
            yield LogStep(case.thread, token, envelope.wire())

    def _token(self, step: str) -> str:
        return step if step in self._steps else UNKNOWN_STEP_TOKEN


def _records(form: Form, chunks: Iterable[bytes], limits: Limits) -> Iterator[_Case | Line | Fault]:
    return _cases(traces(chunks), limits) if form is Form.XES else lines(chunks, limits)


def _cases(found: Iterable[Trace], limits: Limits) -> Iterator[_Case | Fault]:
    """Traces with events, by case. Two traces of one name are one case, and the index counts on."""
    counts: dict[str, int] = {}
    for trace in found:
        if not trace.events:
            continue
        name = trace.attributes.get(_NAME)
        if name is None:
            sentence = f"give every trace a {_NAME}: it names the thread"
            yield Fault(f"trace {trace.number}", RelmError(Code.THREAD_NAME_INVALID, sentence))
            continue
        try:
            thread = encode_thread(name.text, limits)
        except RelmError as error:
            yield Fault(f"trace {trace.number}", error)
            continue
        first = counts.get(thread, 0)
        counts[thread] = first + len(trace.events)
        yield _Case(thread, first, trace)


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk
