"""Goal: what is compiled is the pinned source with our files in it, by a Go that is new enough and leaves the user's
own caches alone. Method: a fake `go` that notes how it was called.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.servers.builder import Built, build
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import ROOM, GoServer, Manifest
from tests.unit.servers.fake_go import FakeGo
from tests.unit.servers.fake_maker import HAMMER, SAW, SOURCE


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    made = FakeGo(tmp_path / "fake")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


def _build(tmp_path: Path, *servers: GoServer) -> list[Built]:
    known = Manifest("1.26.6", {server.name: server for server in servers})
    return build(cache=Cache(tmp_path / "cache"), known=known, say=lambda _: None)


def _refused(tmp_path: Path, *servers: GoServer) -> RelmError:
    with pytest.raises(RelmError) as caught:
        _build(tmp_path, *servers)
    assert caught.value.code is Code.SERVER_BUILD_FAILED
    assert Cache(tmp_path / "cache").receipt(servers[0]) is None
    return caught.value


def test_a_source_is_fetched_once_and_compiled_as_released(tmp_path: Path, go: FakeGo) -> None:
    go.install()
    same = dataclasses.replace(SAW, shows="hammer 1.0.0")
    hammer, saw = _build(tmp_path, dataclasses.replace(HAMMER, source=SOURCE), same)
    assert (hammer.receipt.toolchain, saw.fresh) == ("go1.26.8", True)
    (fetched,) = go.calls("mod download")
    assert "-json example.org/tools@v1.0.0" in fetched
    first, second = go.calls("build")
    work = Cache(tmp_path / "cache").work
    assert first.startswith(f"{work / 'tools'} | build -mod=readonly ")
    assert "-trimpath" in first
    assert first.split(" | ")[1].endswith("/half-built/hammer ./hammer")
    assert second.split(" | ")[1].endswith("/half-built/saw ./saw")
    assert (hammer.path.parent / "LICENSE").read_text() == "as you like\n"


def test_go_writes_to_our_cache_only(tmp_path: Path, go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOCACHE", "/elsewhere")
    monkeypatch.setenv("GOWORK", "/elsewhere/go.work")
    go.install()
    _build(tmp_path, HAMMER)
    cache = Cache(tmp_path / "cache")
    for call in [*go.calls("mod"), *go.calls("build")]:
        assert f"GOCACHE={cache.go_build} GOMODCACHE={cache.go_modules} GOWORK=off" in call
        assert "-modcacherw" in call


def test_another_digest_is_refused(tmp_path: Path, go: FakeGo) -> None:
    go.install(zip_sum="h1:other")
    error = _refused(tmp_path, HAMMER)
    assert error.witness["found"] == {"zip_sum": "h1:other", "mod_sum": "h1:mod"}
    assert not (tmp_path / "cache" / "work" / "tools").exists()


def test_our_files_take_the_place_of_theirs(tmp_path: Path, go: FakeGo) -> None:
    # the build fails, so that the tree stays to be looked at
    go.install(build_exit=1)
    source = dataclasses.replace(SOURCE, files={"part/stop.go": "daprd/components.go"})
    _refused(tmp_path, dataclasses.replace(HAMMER, source=source))
    tree = tmp_path / "cache" / "work" / "tools"
    assert (tree / "part" / "stop.go").read_text() == (ROOM / "daprd" / "components.go").read_text()
    assert not (tree / "vendor").exists()
    assert (tree / "part" / "stop.go").stat().st_mode & stat.S_IWUSR  # a module cache is read-only
    assert "theirs" in (go.folder / "module" / "part" / "stop.go").read_text()


def test_a_file_of_ours_that_replaces_none_is_a_wrong_recipe(tmp_path: Path, go: FakeGo) -> None:
    go.install()
    source = dataclasses.replace(SOURCE, files={"part/other.go": "daprd/components.go"})
    error = _refused(tmp_path, dataclasses.replace(HAMMER, source=source))
    assert error.witness == {"path": "part/other.go"}


def test_what_the_compiler_says_is_the_witness(tmp_path: Path, go: FakeGo) -> None:
    go.install(build_exit=1)
    error = _refused(tmp_path, HAMMER)
    assert error.witness["building"] == "hammer"
    assert error.witness["said"] == ["go: downloading example.org/part v1", "part.go:1: it does not compile"]


def test_what_the_proxy_says_is_the_witness(tmp_path: Path, go: FakeGo) -> None:
    go.install(download_exit=1)
    error = _refused(tmp_path, HAMMER)
    assert error.witness["building"] == "tools"
    assert go.calls("build") == []


def test_variables_and_cgo_reach_the_compiler(tmp_path: Path, go: FakeGo) -> None:
    go.install()
    source = dataclasses.replace(SOURCE, cgo=True, variables={"example.org/tools.Version": "1.0.0"})
    _build(tmp_path, dataclasses.replace(HAMMER, source=source))
    (call,) = go.calls("build")
    assert "-ldflags=-s -w -X example.org/tools.Version=1.0.0" in call
    assert "CGO_ENABLED=1" in call


@pytest.mark.parametrize("compiler", ["", "no-such-compiler -O2"])
def test_without_a_c_compiler_it_says_what_to_install(tmp_path: Path, go: FakeGo, compiler: str) -> None:
    go.install(compiler=compiler)
    error = _refused(tmp_path, dataclasses.replace(HAMMER, source=dataclasses.replace(SOURCE, cgo=True)))
    assert "gcc" in error.sentence
    assert go.calls("mod") == []
    (plain,) = _build(tmp_path, HAMMER)
    assert plain.fresh


def test_without_go_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = _refused(tmp_path, HAMMER)
    assert error.sentence.startswith("install Go 1.26.6 or newer")
    assert "golang-go" in error.sentence


@pytest.mark.parametrize("release", ["1.19", "1.20.14", "devel"])
def test_a_go_that_cannot_fetch_another_is_too_old(tmp_path: Path, go: FakeGo, release: str) -> None:
    go.install(release=release)
    error = _refused(tmp_path, HAMMER)
    assert error.sentence.startswith("install Go 1.26.6 or newer")
    assert error.witness["path"] == str(go.bin / "go")


@pytest.mark.parametrize(
    ("release", "toolchain", "receipt"),
    [
        ("1.21.0", "go1.26.6", "go1.26.6"),
        ("1.26.5", "go1.26.6", "go1.26.6"),
        ("1.26.6", "local", "go1.26.6"),
        ("1.27rc1", "local", "go1.27"),
        ("1.30.1", "local", "go1.30.1"),
    ],
)
def test_a_go_that_is_older_fetches_the_release_itself(
    tmp_path: Path, go: FakeGo, release: str, toolchain: str, receipt: str
) -> None:
    go.install(release=release)
    (built,) = _build(tmp_path, HAMMER)
    assert built.receipt.toolchain == receipt
    assert all(f"GOTOOLCHAIN={toolchain} " in call for call in [*go.calls("mod"), *go.calls("build")])
    assert all("GOTOOLCHAIN=local " in call for call in go.calls("version"))
