"""Goal: XES is read as the standard means it, in bounded memory; hostile XML is refused. Method: small documents."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from relmachine.errors import Code, RelmError
from relmachine.ingest import xes
from relmachine.ingest.xes import Attribute, Trace, traces

TRACE = b"""<trace>
  <string key="concept:name" value="c 1"><string key="nested" value="x"/></string>
  <list key="l"><values><string key="inner" value="y"/></values></list>
  <event>
    <string key="concept:name" value="a &lt; b"/><date key="time:timestamp" value="2011-10-11T13:45:40.276+02:00"/>
    <int key="n" value="5"><string key="why" value="z"/></int>
    <float key="f" value="1.5"/><boolean key="b" value="true"/>
    <id key="i" value="u"/><container key="c" value="v"><string key="deep" value="w"/></container>
    <string value="no key"/>
  </event>
  <event/>
</trace>"""
GLOBALS = (
    b'<global scope="event"><string key="concept:name" value="UNKNOWN"/></global><string key="s" value="of the log"/>'
)
EXPECTED = Trace(
    1,
    {"concept:name": Attribute("string", "c 1")},
    (
        {
            "concept:name": Attribute("string", "a < b"),
            "time:timestamp": Attribute("date", "2011-10-11T13:45:40.276+02:00"),
            "n": Attribute("int", "5"),
            "f": Attribute("float", "1.5"),
            "b": Attribute("boolean", "true"),
            "i": Attribute("id", "u"),
        },
        {},
    ),
)


def _read(document: bytes, chunk: int = 1 << 16) -> list[Trace]:
    return list(traces(document[at : at + chunk] for at in range(0, len(document), chunk)))


def _refusal(document: bytes) -> RelmError:
    with pytest.raises(RelmError) as caught:
        _read(document)
    return caught.value


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
@pytest.mark.parametrize("root", [b"<log>", b'<log xmlns="http://www.xes-standard.org/">'])
def test_scalar_attributes_of_traces_and_events_are_read_and_nothing_else(root: bytes, chunk: int) -> None:
    assert _read(root + GLOBALS + TRACE + b"</log>", chunk) == [EXPECTED]


def test_prefixed_names_and_other_encodings_are_read() -> None:
    text = '<?xml version="1.0" encoding="iso-8859-1"?><x:log xmlns:x="urn:x"><x:trace><x:string key="k" value="é"/>'
    (trace,) = _read((text + "</x:trace></x:log>").encode("iso-8859-1"))
    assert trace.attributes == {"k": Attribute("string", "é")}


def test_traces_are_numbered_in_the_order_of_the_file() -> None:
    found = _read(b"<log>" + b"<trace/>" * 3 + b"</log>", chunk=5)
    assert [trace.number for trace in found] == [1, 2, 3]


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95, -1])
def test_a_document_that_ends_inside_its_root_is_truncated(keep: float) -> None:
    document = b"<log>" + TRACE + b"</log>"
    assert _refusal(document[: int(len(document) * keep) if keep > 0 else -1]).code == Code.LOG_TRUNCATED


@pytest.mark.parametrize(
    "document",
    [b"<log><trace></log>", b"<log>&nbsp;</log>", b"<log/><log/>", b"<", b"<log><trace a=1/></log>", b"<\xff>"],
)
def test_what_is_not_well_formed_is_invalid_at_its_line(document: bytes) -> None:
    error = _refusal(document)
    assert (error.code, error.witness["line"]) == (Code.LOG_INVALID, 1)


def test_other_xml_and_events_without_a_trace_are_invalid() -> None:
    assert _refusal(b"<svg/>").witness == {"root": "svg"}
    assert "<trace>" in _refusal(b"<log><event/></log>").sentence


BILLION_LAUGHS = (
    b'<!DOCTYPE log [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b'] ><log><trace><string key="k" value="&a9;"/></trace></log>'
)


@pytest.mark.parametrize(
    ("document", "entity"),
    [
        (BILLION_LAUGHS, "a0"),
        (b'<!DOCTYPE log [<!ENTITY f SYSTEM "file:///etc/passwd">]><log>&f;</log>', "f"),
        (b'<!DOCTYPE log [<!ENTITY % p "x">]><log/>', "p"),
    ],
)
def test_entity_declarations_are_refused_before_they_are_used(document: bytes, entity: str) -> None:
    error = _refusal(document)
    assert (error.code, error.witness) == (Code.LOG_INVALID, {"entity": entity})


def test_a_trace_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xes, "TRACE_BYTES_MAX", 10_000)

    def endless() -> Iterator[bytes]:
        yield b"<log><trace/><trace>"
        while True:
            yield b"<event/>" * 100

    with pytest.raises(RelmError) as caught:
        list(traces(endless()))
    assert (caught.value.code, caught.value.witness["trace"]) == (Code.LIMIT_EXCEEDED, 2)


def test_the_bound_is_one_of_a_trace_and_not_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xes, "TRACE_BYTES_MAX", 2 * len(TRACE))
    assert len(list(traces([b"<log>", *[TRACE] * 20, b"</log>"]))) == 20


def test_memory_does_not_grow_with_the_log() -> None:
    def document(count: int) -> Iterator[bytes]:
        yield b"<log>"
        for _ in range(count):
            yield TRACE
        yield b"</log>"

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in traces(document(count))) == count
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    peak(10)
    assert peak(2_000) < 2 * peak(20)
