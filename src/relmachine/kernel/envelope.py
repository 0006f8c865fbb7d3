"""The wire form of a step: a CloudEvents 1.0 event in structured JSON mode.

Attributes: `id` and `source` (together the step key), `type` (the step), `subject` (the thread token), `time`,
`datacontenttype` (JSON in UTF-8, however it is spelt), `dataschema` (a URI; the machine decides what a payload is, so
nothing is made of it), `data` (the payload); extensions `traceparent`, `machine`, `machineversion`, `schemaversion`,
`principal`, `hops` (how many steps proposed each other before this one). Source: CloudEvents 1.0 specification, JSON
event format 1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal, cast

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from relmachine.errors import Code, RelmError
from relmachine.kernel.control import RELEASE
from relmachine.kernel.limits import Limits
from relmachine.machine.canonical import DEPTH_MAX

SCHEMA_VERSION = 1
"""Version of this envelope. A higher one in a message is refused: its meaning is not known here."""

UNKNOWN_STEP_TOKEN = "_"
"""Subject token of an activity that no step of the machine stands for."""

ANONYMOUS = "anonymous"
"""Principal of a step that names none."""

HOPS_MAX = 64
"""How many steps may propose each other in a row, the first one published by somebody."""

OWN_SOURCES = "relm:"
"""How sources begin under which nodes publish: nobody else's step may take a key of theirs."""

FOLLOW_UP_SOURCE = "relm:follow-up"
"""CloudEvents source of steps that other steps proposed."""

RELEASE_SOURCE = "relm:held"
"""CloudEvents source of the records by which steps that are held are decided again."""

_Attribute = Annotated[str, Field(min_length=1, max_length=256)]
_JSON_TYPE = re.compile(r'application/json(?:\s*;\s*charset=(?:utf-8|"utf-8"))?', re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def _of_json(media_type: str) -> str:
    if not _JSON_TYPE.fullmatch(media_type):
        raise ValueError("send the payload as application/json, in UTF-8")
    return media_type


def _absolute(uri: str) -> str:
    if not _URI.fullmatch(uri):
        raise ValueError("give an absolute URI, or leave it out")
    return uri


_MediaType = Annotated[str, Field(max_length=64), AfterValidator(_of_json)]
_Uri = Annotated[str, Field(max_length=2048), AfterValidator(_absolute)]


class Envelope(BaseModel):
    """A step as it travels. Unknown attributes are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    specversion: Literal["1.0"] = "1.0"
    id: _Attribute
    source: _Attribute
    type: _Attribute
    subject: _Attribute | None = None
    time: AwareDatetime | None = None
    datacontenttype: _MediaType = "application/json"
    dataschema: _Uri | None = None
    data: dict[str, object] = Field(default_factory=dict[str, object])
    traceparent: _Attribute | None = None
    machine: _Attribute | None = None
    machineversion: _Attribute | None = None
    schemaversion: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    principal: _Attribute = ANONYMOUS
    hops: int = Field(default=0, ge=0, le=HOPS_MAX)

    @property
    def step_key(self) -> str:
        """CloudEvents identity, (source, id), as a canonical JSON array."""
        return step_key(self.source, self.id)

    def wire(self) -> bytes:
        """The message body."""
        return self.model_dump_json(exclude_defaults=True).encode()


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a thread's subject as read: tokens of `relm.<machine>.step.<thread>.<step>` and the body."""

    sequence: int
    thread: str
    step_token: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A step as gate 1 understood it.

    `sequence` is its stream sequence. `payload` is the canonical JSON of the validated payload (of the raw data where
    gate 1 refused it, empty where there was none); `recorded` are the contributions that the payload itself makes, as
    (field, canonical JSON), by field. `principal`, `time`, `traceparent` and `hops` are evidence, not identity.
    """

    sequence: int
    thread: str
    step: str
    step_key: str
    payload: str
    payload_digest: str
    recorded: tuple[tuple[str, str], ...] = ()
    principal: str = ANONYMOUS
    time: str | None = None
    traceparent: str | None = None
    hops: int = 0

    def evidence(self) -> str:
        """Who, when, which trace, how far from the first step, as JSON; what is not known is left out."""
        found: dict[str, object] = {"principal": self.principal}
        if self.time is not None:
            found["time"] = self.time
        if self.traceparent is not None:
            found["traceparent"] = self.traceparent
        if self.hops:
            found["hops"] = self.hops
        return orjson.dumps(found).decode()

    def known(self, evidence: str) -> Candidate:
        """The candidate with what `evidence`, as written by `evidence()`, says of it."""
        found = cast(dict[str, object], orjson.loads(evidence))
        return replace(
            self,
            principal=cast(str, found.get("principal", ANONYMOUS)),
            time=cast("str | None", found.get("time")),
            traceparent=cast("str | None", found.get("traceparent")),
            hops=cast(int, found.get("hops", 0)),
        )


def step_key(source: str, identifier: str) -> str:
    """The step key of CloudEvents (source, id)."""
    return orjson.dumps([source, identifier]).decode()


def follow_up_body(cause: Candidate, event: str, place: int, step: str, data: str) -> dict[str, object]:
    """The envelope of the step that `event`, made of `cause`, proposes as its number `place`; `data` is JSON text.

    Its key follows from the event, so it is one step however often it is published; its principal is the cause's.
    """
    body: dict[str, object] = {
        "specversion": "1.0",
        "id": f"{event}/{place}",
        "source": FOLLOW_UP_SOURCE,
        "type": step,
        "subject": cause.thread,
        "data": orjson.loads(data),
        "principal": cause.principal,
        "hops": cause.hops + 1,
    }
    return body if cause.traceparent is None else {**body, "traceparent": cause.traceparent}


def release_body(cause: Candidate, event: str, held: int) -> dict[str, object]:
    """The envelope of the record by which the step held at `held` is decided again: `event`, made of `cause`, made
    effective what it waits for. Its key follows from both, so it is one record however often it is published.
    """
    body: dict[str, object] = {
        "specversion": "1.0",
        "id": f"{event}/{held}",
        "source": RELEASE_SOURCE,
        "type": RELEASE,
        "subject": cause.thread,
        "data": {"held": held},
        "principal": cause.principal,
    }
    return body if cause.traceparent is None else {**body, "traceparent": cause.traceparent}


def parse(body: bytes, limits: Limits) -> Envelope:
    """The envelope in `body`.

    Errors: `payload_too_large`, `not_json`, `number_invalid`, `text_invalid`, `schema_version`, `envelope_invalid`,
    each with what to change.
    """
    if len(body) > limits.payload_bytes_max:
        raise RelmError(
            Code.PAYLOAD_TOO_LARGE,
            f"send at most {limits.payload_bytes_max} bytes",
            payload_bytes_max=limits.payload_bytes_max,
            bytes=len(body),
        )
    try:
        return Envelope.model_validate_json(body)
    except ValidationError as error:
        raise _diagnosis(body, error) from error


def _diagnosis(body: bytes, error: ValidationError) -> RelmError:
    """The most telling reason why `body` is no envelope."""
    value = _load(body)
    if not isinstance(value, dict):
        return RelmError(Code.ENVELOPE_INVALID, "send one CloudEvents JSON object", found=type(value).__name__)
    if any("recursion" in problem for problem in problems(error)):
        return _too_deep()
    version = cast(dict[str, object], value).get("schemaversion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return RelmError(
            Code.SCHEMA_VERSION,
            f"this node reads schemaversion up to {SCHEMA_VERSION}: update it, or send the older form",
            schemaversion=version,
        )
    return RelmError(
        Code.ENVELOPE_INVALID,
        "send a CloudEvents 1.0 event with id, source, type and data; the witness names what is wrong",
        problems=problems(error),
    )


def _too_deep() -> RelmError:
    return RelmError(Code.PAYLOAD_TOO_DEEP, f"nest values at most {DEPTH_MAX} deep", depth_max=DEPTH_MAX)


def problems(error: ValidationError) -> list[str]:
    """The first eight complaints of Pydantic as `member: what is wrong`."""
    return [
        f"{'.'.join(str(part) for part in item['loc']) or 'value'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:8]
    ]


def _load(body: bytes) -> object:
    try:
        body.decode()
        return orjson.loads(body)
    except UnicodeDecodeError as error:
        raise RelmError(Code.NOT_JSON, "send UTF-8 JSON", detail=str(error)) from error
    except orjson.JSONDecodeError as error:
        text = str(error)
        if "surrogate" in text:
            raise RelmError(Code.TEXT_INVALID, "send text without lone surrogates", detail=text) from error
        if "depth limit" in text:
            raise _too_deep() from error
        if any(word in body for word in (b"NaN", b"Infinity")):
            raise RelmError(Code.NUMBER_INVALID, "send finite numbers only: JSON has no NaN", detail=text) from error
        raise RelmError(Code.NOT_JSON, "send UTF-8 JSON", detail=text) from error
