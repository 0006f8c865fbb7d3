"""Goal: who starts a server learns where it is, or what to type. Method: caches with and without built servers."""

from __future__ import annotations

import dataclasses
import sys
import sysconfig
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.servers import available, locate
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import manifest
from tests.unit.servers.fake_maker import KNOWN, NAILS, FakeMaker, build_with


def test_a_built_server_is_located_and_listed(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    (built,) = build_with(FakeMaker(tmp_path), root, "saw")
    assert locate("saw", cache=Cache(root), known=KNOWN) == built.path
    listed = available(cache=Cache(root), known=KNOWN)
    assert list(listed) == ["hammer", "saw", "nails"]
    assert (listed["saw"].path, listed["saw"].size_bytes) == (built.path, built.path.stat().st_size)
    assert (listed["saw"].how, listed["saw"].origin, listed["saw"].licence) == ("go", "example.org/tools", "MIT")
    assert listed["hammer"].path is None


def test_a_missing_server_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(RelmError) as caught:
        locate("rqlited", cache=Cache(tmp_path))
    assert caught.value.code is Code.SERVER_MISSING
    assert "make servers" in caught.value.sentence
    assert "relm servers build --only rqlited" in caught.value.sentence
    assert caught.value.witness == {"server": "rqlited", "version": manifest().get("rqlited").version}


def test_a_name_that_nobody_has_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(RelmError) as caught:
        locate("chisel", cache=Cache(tmp_path))
    assert caught.value.code is Code.NOT_FOUND
    assert "rqlited" in str(caught.value.witness["known"])


def test_a_server_of_a_wheel_lies_beside_python(tmp_path: Path) -> None:
    path = locate("nats-server", cache=Cache(tmp_path))
    assert path == Path(sysconfig.get_path("scripts")) / "nats-server"
    assert path.is_file()
    assert available(cache=Cache(tmp_path))["nats-server"].path == path


def test_a_server_of_a_wheel_may_be_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RelmError) as caught:
        locate("nails", cache=Cache(tmp_path), known=KNOWN)
    assert caught.value.code is Code.SERVER_MISSING
    assert "nails-bin" in caught.value.sentence
    program = tmp_path / "nails"
    program.symlink_to(sys.executable)
    assert locate("nails", cache=Cache(tmp_path), known=KNOWN) == program
    assert available(cache=Cache(tmp_path), known=KNOWN)["nails"].version == NAILS.version


def test_the_listed_version_of_a_wheel_is_the_installed_one(tmp_path: Path) -> None:
    server = dataclasses.replace(NAILS, distribution="pytest", version="0")
    known = dataclasses.replace(KNOWN, servers={"nails": server})
    assert available(cache=Cache(tmp_path), known=known)["nails"].version == pytest.__version__
