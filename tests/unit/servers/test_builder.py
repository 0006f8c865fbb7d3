"""Goal: a server is built once, whole or not at all, whoever builds at the same time and however a builder ends.

Method: a maker that writes scripts and keeps a journal; other processes that wait for each other, or are killed.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.servers.builder import build
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import GoServer
from tests.unit.servers.fake_maker import (
    DEADLINE_SECONDS,
    HAMMER,
    KNOWN,
    SAW,
    SOURCE,
    FakeMaker,
    build_with,
    said,
    wait_for,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def maker(tmp_path: Path) -> FakeMaker:
    return FakeMaker(tmp_path)


def test_what_is_there_is_not_built_again(root: Path, maker: FakeMaker) -> None:
    first = build_with(maker, root)
    again = build_with(maker, root)
    assert maker.journal() == ["hammer", "saw"]
    assert [(server.name, server.fresh) for server in first] == [("hammer", True), ("saw", True)]
    assert [server.fresh for server in again] == [False, False]
    assert [server.path for server in again] == [server.path for server in first]


def test_it_says_what_it_builds_and_how_long_it_took(root: Path, maker: FakeMaker) -> None:
    (built,) = build_with(maker, root, "saw")
    assert said(root) == ["saw 1.0.0: building from example.org/tools", "saw 1.0.0: 0 s, 0 MB"]
    assert built.receipt.size_bytes == built.path.stat().st_size
    assert built.receipt.toolchain == "sh"
    assert stat.S_IMODE(built.path.stat().st_mode) & stat.S_IXUSR


def test_it_says_which_could_not_be_built(root: Path, maker: FakeMaker) -> None:
    with pytest.raises(RelmError):
        build_with(FakeMaker(maker.folder, says="hammer 1.0.0"), root)
    assert said(root)[1:] == [
        "hammer 1.0.0: 0 s, 0 MB",
        "saw 1.0.0: building from example.org/tools",
        "saw 1.0.0: not built, after 0 s",
    ]


def test_only_what_is_named_is_built(root: Path, maker: FakeMaker) -> None:
    build_with(maker, root, "saw")
    assert maker.journal() == ["saw"]
    build_with(maker, root, "nails")
    assert maker.journal() == ["saw"]


def test_a_name_that_nobody_has_builds_nothing(root: Path, maker: FakeMaker) -> None:
    with pytest.raises(RelmError) as caught:
        build_with(maker, root, "saw", "chisel")
    assert caught.value.code is Code.NOT_FOUND
    assert maker.journal() == []


def test_caches_of_the_compiler_go_after_success_and_stay_after_failure(root: Path, maker: FakeMaker) -> None:
    cache = Cache(root)
    cache.go_build.mkdir(parents=True)
    cache.go_modules.mkdir(parents=True)
    with pytest.raises(RelmError):
        build_with(FakeMaker(maker.folder, says="something else"), root)
    assert cache.go_build.exists()
    assert cache.go_modules.exists()
    build_with(maker, root)
    assert {path.name for path in root.iterdir()} == {"lock", "servers"}


def test_a_program_that_does_not_say_what_it_is_never_gets_there(root: Path, maker: FakeMaker) -> None:
    with pytest.raises(RelmError) as caught:
        build_with(FakeMaker(maker.folder, says="{name} 0.9.0"), root, "saw")
    assert caught.value.code is Code.SERVER_BUILD_FAILED
    assert caught.value.witness["expected"] == "saw 1.0.0"
    assert "saw 0.9.0" in str(caught.value.witness["said"])
    assert Cache(root).receipt(SAW) is None


@pytest.mark.parametrize("damage", ["shortened", "gone", "no_receipt", "odd_receipt"])
def test_a_damaged_server_is_built_again(root: Path, maker: FakeMaker, damage: str) -> None:
    (before,) = build_with(maker, root, "saw")
    receipt = before.path.with_name("receipt.json")
    match damage:
        case "shortened":
            before.path.write_text("#!/bin/sh\n")
        case "gone":
            before.path.unlink()
        case "no_receipt":
            receipt.unlink()
        case _:
            receipt.write_text(json.dumps({"seconds": 1}))
    (after,) = build_with(maker, root, "saw")
    assert after.fresh
    assert after.receipt.sha256 == before.receipt.sha256


def test_another_recipe_gets_another_place_and_the_old_server_stays(root: Path, maker: FakeMaker) -> None:
    (before,) = build_with(maker, root, "saw")
    changed = dataclasses.replace(SAW, source=dataclasses.replace(SOURCE, variables={"example.org/x": "y"}))
    known = dataclasses.replace(KNOWN, servers={"saw": changed})
    (after,) = build(["saw"], cache=Cache(root), known=known, maker=lambda: maker, say=lambda _: None)
    assert after.fresh
    assert after.path != before.path
    assert before.path.exists()


RECIPES = {
    "version": {"source": dataclasses.replace(SOURCE, version="1.0.1")},
    "zip_sum": {"source": dataclasses.replace(SOURCE, zip_sum="h1:other")},
    "mod_sum": {"source": dataclasses.replace(SOURCE, mod_sum="h1:other")},
    "cgo": {"source": dataclasses.replace(SOURCE, cgo=True)},
    "files": {"source": dataclasses.replace(SOURCE, files={"x.go": "daprd/components.go"})},
    "package": {"package": "./other"},
}


@pytest.mark.parametrize("change", RECIPES)
def test_everything_that_decides_what_is_built_is_in_the_place(change: str) -> None:
    cache, other = Cache(Path("/c")), dataclasses.replace(HAMMER, **RECIPES[change])
    assert cache.place(other) != cache.place(HAMMER)


def test_how_a_server_is_checked_is_not() -> None:
    other = dataclasses.replace(HAMMER, check=("-v",), shows="hammer")
    assert other.recipe_digest() == HAMMER.recipe_digest()


def test_two_processes_build_each_server_once(root: Path, maker: FakeMaker) -> None:
    slow = FakeMaker(maker.folder, pauses=True)
    context = multiprocessing.get_context("spawn")
    first = context.Process(target=build_with, args=(slow, root))
    second = context.Process(target=build_with, args=(slow, root))
    first.start()
    try:
        wait_for(lambda: slow.journal() == ["hammer"], "the first process to build")
        second.start()
        wait_for(lambda: any("waiting" in line for line in said(root)), "the second process to wait")
        assert slow.journal() == ["hammer"]
        (maker.folder / "go").touch()
        for process in (first, second):
            process.join(DEADLINE_SECONDS)
            assert process.exitcode == 0
    finally:
        for process in (first, second):
            process.kill()
    assert slow.journal() == ["hammer", "saw"]
    assert sum("building" in line for line in said(root)) == 2


def test_who_has_everything_waits_for_nobody(root: Path, maker: FakeMaker) -> None:
    build_with(maker, root, "saw")
    before = said(root)
    with Cache(root).locked(lambda: pytest.fail("nobody else holds it")):
        (built,) = build_with(maker, root, "saw")
    assert not built.fresh
    assert said(root) == before


def test_a_killed_builder_leaves_nothing_that_counts_and_no_lock(root: Path, maker: FakeMaker) -> None:
    slow = FakeMaker(maker.folder, pauses=True)
    process = multiprocessing.get_context("spawn").Process(target=build_with, args=(slow, root, "saw"))
    process.start()
    wait_for(lambda: slow.journal() == ["saw"], "the builder to be in the middle")
    process.kill()
    process.join(DEADLINE_SECONDS)
    assert (Cache(root).work / "half-built" / "saw").exists()
    assert Cache(root).receipt(SAW) is None
    (built,) = build_with(maker, root, "saw")
    assert built.fresh
    assert "waiting" not in "".join(said(root))


def test_a_server_appears_whole(root: Path, tmp_path: Path) -> None:
    seen: list[bool] = []

    class Watching(FakeMaker):
        def __call__(self, server: GoServer, folder: Path) -> None:
            super().__call__(server, folder)
            seen.append(Cache(root).place(server).exists())

    (built,) = build_with(Watching(tmp_path), root, "hammer")
    assert seen == [False]
    assert {item.name for item in built.path.parent.iterdir()} == {"hammer", "receipt.json"}


def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache.of_user().root == tmp_path / "relmachine"
    for given in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert Cache.of_user().root == Path.home() / ".cache" / "relmachine"
    place = Cache(tmp_path).place(HAMMER)
    assert place.parent == tmp_path / "servers" / "hammer"
    assert place.name.startswith("1.0.0-" + os.uname().sysname.lower())
