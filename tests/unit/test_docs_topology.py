"""Goal: the page about NATS says what the code makes and checks. Method: its tables and figures against the description
of a machine and the values that limits are compared with."""

from __future__ import annotations

import re

from relmachine.kernel.limits import Limits
from relmachine.machine.loader import load
from relmachine.stream.bounds import HEADER_BYTES_MAX, StreamBounds
from relmachine.stream.description import describe
from relmachine.stream.fit import VERSION_MIN
from relmachine.stream.matrix import MATRIX_BYTES_MAX, Matrix, written
from relmachine.stream.topology import Topology, topology
from tests import permit
from tests.unit.docs_pages import code, page, rows, section

PAGE = page("topology.md")
DESCRIBED = describe(Topology("<machine>", {}), Limits(), StreamBounds())


def test_streams_and_their_subjects() -> None:
    told = {code(row[0])[0]: tuple(code(row[1])) for row in rows(section(PAGE, "## Streams"))}
    assert told == {stream.name: stream.subjects for stream in DESCRIBED.streams}
    assert f"`{DESCRIBED.consumers[0].name}`" in PAGE


def test_the_entries_of_the_metadata_and_their_form() -> None:
    told = [code(row[0])[0] for row in rows(section(PAGE, "## Which machine"))]
    assert told == list(topology(load(permit.YAML).plan()).metadata)
    example = re.search(r"So `([^`]+)` with `([^`]+)` says that `checked` depends on\n`received`", PAGE)
    assert example is not None
    made = written(Matrix.of(["received", "checked", "noted"], [0b011, 0b011, 0b100]))
    assert list(example.groups()) == [made["steps"], made["dependence"]]
    assert f"{MATRIX_BYTES_MAX:,} bytes" in PAGE


def test_what_a_server_must_be() -> None:
    needed = " ".join(" ".join(row) for row in rows(section(PAGE, "## What a server must be")))
    assert f"nats-server {'.'.join(map(str, VERSION_MIN))}" in needed
    assert f"`payload_bytes_max` and {HEADER_BYTES_MAX} bytes" in needed
    limits = ("payload_bytes_max", "hints_in_flight_max")
    assert all(hasattr(Limits(), name) and f"`{name}`" in needed for name in limits)
    bounds = ("batch_bytes_max", "batches_in_flight_max")
    assert all(hasattr(StreamBounds(), name) and f"`{name}`" in needed for name in bounds)


def test_telemetry_is_kept_nowhere_and_none_of_the_publishers() -> None:
    subject = next(item for item in DESCRIBED.subjects if item.subject == "relm.<machine>.telemetry.*")
    assert f"`{subject.subject}`" in PAGE
    assert (subject.stream, subject.accounts_that_may_publish, subject.accounts_that_may_hear) == (
        None,
        ("CORE",),
        ("CORE",),
    )


def test_accounts_and_what_they_reach() -> None:
    told = {code(row[0])[0]: code(row[1])[0] for row in rows(section(PAGE, "## Who may do what"))}
    assert told == {account.name: account.login for account in DESCRIBED.accounts}
    publishers = next(account for account in DESCRIBED.accounts if account.login == "publisher")
    assert publishers.publish is not None
    assert [f"`{subject}`" in section(PAGE, "## Who may do what") for subject in publishers.publish] == [True]
