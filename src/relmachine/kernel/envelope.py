"""The wire form of a step: a CloudEvents 1.0 event in structured JSON mode.

Attributes: `id` and `source` (together the step key), `type` (the step), `subject` (the thread token), `time`,
`datacontenttype` (JSON in UTF-8, however it is spelt), `dataschema` (a URI; the machine decides what a payload is, so
nothing is made of it), `data` (the payload); extensions `traceparent`, `machine`, `machineversion`, `schemaversion`,
`principal`, `hops` (how many steps proposed each other before this one), `following` (how many may still follow from
it). Source: CloudEvents 1.0 specification, JSON event format 1.0.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
"""Version of this envelope. A higher one in a message is refused: its meaning is not known here."""

ANONYMOUS = "anonymous"
"""Principal of a step that names none."""

HOPS_MAX = 64
"""How many steps may propose each other in a row, the first one published by somebody."""

FOLLOWING_MAX = 1024
"""How many steps may follow from one that somebody published: those that it proposes, those that they propose, …"""

OWN_SOURCES = "relm:"
"""How sources begin under which nodes publish: nobody else's step may take a key of theirs."""

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
    following: int = Field(default=FOLLOWING_MAX, ge=0, le=FOLLOWING_MAX)

    @property
    def step_key(self) -> str:
        """CloudEvents identity, (source, id), as a canonical JSON array."""
        return step_key(self.source, self.id)

    def wire(self) -> bytes:
        """The message body."""
        return self.model_dump_json(exclude_defaults=True).encode()


def step_key(source: str, identifier: str) -> str:
    """The step key of CloudEvents (source, id)."""
    return orjson.dumps([source, identifier]).decode()
