"""A log as steps to publish. The same log gives the same step keys, whoever reads it and however often.

The key of an XES event is (digest of the decompressed log, case and index in the case); a CloudEvents line has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.ingest.cases import LogStep, cases
from relmachine.ingest.cloudevents import lines
from relmachine.ingest.fault import Fault
from relmachine.ingest.reading import Form, open_log
from relmachine.ingest.xes import traces
from relmachine.kernel.candidate import UNKNOWN_STEP_TOKEN
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.kernel.limits import Limits
from relmachine.machine.machine import Machine

FAULTS_KEPT_MAX = 20
"""Faults that a survey keeps; it counts them all."""

_NO_DIGEST = "0" * 64
"""Stands for the digest while it is being computed; as long as one, so that sizes come out right."""


@dataclass(frozen=True, slots=True)
class Log:
    """What one pass over a log tells: SHA-256 of its decompressed bytes, its steps, and what cannot become one."""

    path: Path
    form: Form
    digest: str
    steps: int
    faulty: int
    faults: tuple[Fault, ...]


def survey(machine: Machine, path: Path, limits: Limits | None = None) -> Log:
    """Read the whole log once, so that what is wrong with it is known before anything is published.

    Errors: `not_found`, `log_truncated`, `log_invalid`, `limit_exceeded`; `log_empty` when it holds no event;
    `machine_invalid`.
    """
    form, chunks = open_log(path)
    hasher = sha256()
    steps = faulty = 0
    faults: list[Fault] = []
    read = _hashed(chunks, hasher.update)
    for item in _items(machine, form, read, log_digest=_NO_DIGEST, limits=limits or Limits(), principal=ANONYMOUS):
        if isinstance(item, LogStep):
            steps += 1
            continue
        faulty += 1
        if len(faults) < FAULTS_KEPT_MAX:
            faults.append(item)
    if not steps and not faulty:
        raise RelmError(Code.LOG_EMPTY, "the log has no events: give one with at least one trace", path=str(path))
    return Log(path, form, hasher.hexdigest(), steps, faulty, tuple(faults))


def outgoing(
    machine: Machine, log: Log | Path, limits: Limits | None = None, principal: str = ANONYMOUS
) -> Iterator[LogStep]:
    """The steps of `log` in its order, exactly `log.steps` of them; faults are passed over. A path is surveyed first.

    Errors: those of `survey`; `log_invalid` at the end when the file is no longer the one surveyed.
    """
    limits = limits or Limits()
    if isinstance(log, Path):
        log = survey(machine, log, limits)
    form, chunks = open_log(log.path)
    hasher = sha256()
    read = _hashed(chunks, hasher.update)
    for item in _items(machine, form, read, log_digest=log.digest, limits=limits, principal=principal):
        if isinstance(item, LogStep):
            yield item
    if hasher.hexdigest() != log.digest:
        sentence = "the log changed while it was read: replay it again when it is at rest"
        raise RelmError(Code.LOG_INVALID, sentence, path=str(log.path))


def _items(
    machine: Machine, form: Form, chunks: Iterable[bytes], *, log_digest: str, limits: Limits, principal: str
) -> Iterator[LogStep | Fault]:
    if form is Form.XES:
        yield from cases(machine, traces(chunks), f"urn:relm:log:{log_digest}", limits, principal)
        return
    known = machine.plan().step_index
    for item in lines(chunks, limits):
        if isinstance(item, Fault):
            yield item
        else:
            yield LogStep(item.thread, item.type if item.type in known else UNKNOWN_STEP_TOKEN, item.body)


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk
