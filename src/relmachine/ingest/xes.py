"""XES event logs, read as they come: never more than one trace and one chunk in memory.

Source: IEEE 1849-2016 (XES). Of its attribute types the scalar ones are read; lists, containers and attributes of
attributes are passed over, and so are globals, extensions and classifiers: what a trace or an event does not say is
not made up for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.parsers import expat

from relmachine.errors import Code, RelmError

TRACE_BYTES_MAX = 64 * 1024 * 1024
"""Decompressed bytes allowed from the end of one trace to the end of the next."""

_SCALARS = frozenset(("string", "date", "int", "float", "boolean", "id"))
_SEPARATOR = "}"
_ENDED_EARLY = frozenset(
    expat.errors.codes[name]
    for name in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
)


class Attribute(NamedTuple):
    """A scalar attribute: the element it came in (string, date, int, float, boolean, id) and its value as written."""

    tag: str
    text: str


Attributes = Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace, `number` counting from 1: its own attributes, and those of each event in the order of the file."""

    number: int
    attributes: Attributes
    events: tuple[Attributes, ...]


def traces(chunks: Iterable[bytes]) -> Iterator[Trace]:
    """The traces of an XES document, namespaced or not.

    Errors: `log_invalid` for what is not XML or not XES and for entity declarations; `log_truncated` when the
    document ends inside its root; `limit_exceeded` when a trace is longer than `TRACE_BYTES_MAX`.
    """
    reader = _Reader()
    since = 0
    for chunk in chunks:
        reader.feed(chunk)
        since += len(chunk)
        if reader.finished:
            since = 0
            yield from reader.take()
        elif since > TRACE_BYTES_MAX:
            raise RelmError(
                Code.LIMIT_EXCEEDED,
                f"split the log: a trace may have at most {TRACE_BYTES_MAX} bytes",
                trace_bytes_max=TRACE_BYTES_MAX,
                trace=reader.count + 1,
            )
    reader.feed(b"", final=True)
    yield from reader.take()


class _Reader:
    """What expat has told so far. Depth 1 is the log, 2 a trace, 3 its attributes and events, 4 those of an event."""

    def __init__(self) -> None:
        self.finished: list[Trace] = []
        self.count = 0
        self._depth = 0
        self._rooted = False
        self._trace: dict[str, Attribute] | None = None
        self._events: list[Attributes] = []
        self._event: dict[str, Attribute] | None = None
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity

    def take(self) -> list[Trace]:
        """The traces finished since the last call."""
        taken, self.finished = self.finished, []
        return taken

    def feed(self, chunk: bytes, final: bool = False) -> None:
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            if self._rooted and error.code in _ENDED_EARLY:
                raise RelmError(
                    Code.LOG_TRUNCATED,
                    "the log ends inside an element: copy or download it again",
                    line=error.lineno,
                    traces_read=self.count,
                ) from error
            raise RelmError(
                Code.LOG_INVALID,
                "the log is not well-formed XML: mend it at the line given",
                line=error.lineno,
                column=error.offset,
                detail=expat.ErrorString(error.code),
            ) from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(_SEPARATOR)[2]
        self._depth += 1
        if self._depth == 1:
            self._root(name)
        elif self._depth == 2:
            self._part(name)
        elif self._trace is not None and self._depth == 3:
            if name == "event":
                self._event = {}
            else:
                _note(self._trace, name, attributes)
        elif self._event is not None and self._depth == 4:
            _note(self._event, name, attributes)

    def _root(self, name: str) -> None:
        self._rooted = True
        if name != "log":
            raise RelmError(Code.LOG_INVALID, "give an XES file: its root element is <log>", root=name)

    def _part(self, name: str) -> None:
        if name == "trace":
            self._trace, self._events = {}, []
        elif name == "event":
            raise RelmError(
                Code.LOG_INVALID,
                "put every event into a <trace>: an event outside of one belongs to no thread",
                line=self._parser.CurrentLineNumber,
            )

    def _end(self, _tag: str) -> None:
        if self._depth == 3 and self._event is not None:
            self._events.append(self._event)
            self._event = None
        elif self._depth == 2 and self._trace is not None:
            self.count += 1
            self.finished.append(Trace(self.count, self._trace, tuple(self._events)))
            self._trace = None
        self._depth -= 1

    def _entity(self, name: str, *_declaration: object) -> None:
        # Entities that expand into entities make a small file fill the memory, and no XES writer uses them.
        raise RelmError(Code.LOG_INVALID, "remove the entity declarations: XES has no use for them", entity=name)


def _note(attributes: dict[str, Attribute], tag: str, written: Mapping[str, str]) -> None:
    if tag in _SCALARS and "key" in written and "value" in written:
        attributes[written["key"]] = Attribute(tag, written["value"])
