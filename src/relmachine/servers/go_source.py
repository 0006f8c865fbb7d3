"""From a pinned Go module to a program: fetch, compare digests, unpack, put in our files, compile."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from relmachine.errors import Code, RelmError
from relmachine.servers import toolchain
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import ROOM, GoServer, Source

_LINES = 12
"""So many last lines of Go's output are in the witness of a failure."""


class GoMaker:
    """Compiles servers with Go, in the work folder of `cache`. One tree per source, shared by its servers.

    The tree of a released module is built as its own main module: requirements, replacements and digests are those
    that upstream released with, and nothing is resolved anew.
    """

    def __init__(self, cache: Cache, go_release: str) -> None:
        self._cache = cache
        self._toolchain = toolchain.find(go_release, cache)
        self._trees: dict[str, Path] = {}

    @property
    def toolchain(self) -> str:
        """The release that compiles, for the receipt."""
        return f"go{self._toolchain.version}"

    def __call__(self, server: GoServer, folder: Path) -> None:
        """Compile `server` into `folder`. Errors: `server_build_failed`."""
        source = server.source
        if source.cgo:
            toolchain.require_c_compiler(self._toolchain)
        tree = self._trees.get(source.name) or self._unpacked(source)
        self._trees[source.name] = tree
        linked = " ".join(["-s -w", *(f"-X {name}={text}" for name, text in source.variables.items())])
        flags = ["-mod=readonly", "-modcacherw", "-trimpath", "-buildvcs=false", f"-ldflags={linked}"]
        program = str(folder / server.name)
        cgo = {"CGO_ENABLED": str(int(source.cgo))}
        self._go(server.name, ["build", *flags, "-o", program, server.package], tree, cgo)
        for licence in [*tree.glob("LICENSE*"), *tree.glob("NOTICE*")]:
            shutil.copy(licence, folder)

    def _unpacked(self, source: Source) -> Path:
        fetched = self._fetched(source)
        tree = self._cache.work / source.name
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(fetched, tree, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("vendor"))
        for path, ours in source.files.items():
            if not (tree / path).is_file():
                raise RelmError(Code.SERVER_BUILD_FAILED, "correct the recipe: its file replaces none", path=path)
            shutil.copyfile(ROOM / ours, tree / path)
        return tree

    def _fetched(self, source: Source) -> Path:
        """The module as Go's cache holds it, its digests compared with those of the manifest."""
        asking = self._cache.work / "asking"  # Go wants a module to ask from
        asking.mkdir(parents=True, exist_ok=True)
        (asking / "go.mod").write_text("module asking\n", encoding="utf-8")
        wanted = f"{source.module}@v{source.version}"
        told = self._go(source.name, ["mod", "download", "-modcacherw", "-json", wanted], asking, {})
        module: dict[str, Any] = json.loads(told)
        found = {"zip_sum": module.get("Sum"), "mod_sum": module.get("GoModSum")}
        pinned = {"zip_sum": source.zip_sum, "mod_sum": source.mod_sum}
        if found != pinned:
            sentence = "do not use this module proxy: what it serves is not what the manifest pins"
            raise RelmError(Code.SERVER_BUILD_FAILED, sentence, module=wanted, found=found, pinned=pinned)
        return Path(module["Dir"])

    def _go(self, name: str, arguments: list[str], folder: Path, more: dict[str, str]) -> str:
        """Standard output of Go. What it says besides is in `work/<name>.log` while it runs."""
        log = self._cache.work / f"{name}.log"
        environment = {**self._toolchain.environment, **more}
        with log.open("ab") as messages:
            done = subprocess.run(
                [self._toolchain.go, *arguments],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=messages,
                check=False,
            )
        if done.returncode != 0:
            last = [*log.read_text(errors="replace").splitlines(), *done.stdout.decode(errors="replace").splitlines()]
            raise RelmError(
                Code.SERVER_BUILD_FAILED,
                "see what Go said in the witness; what was fetched is kept for the next attempt",
                building=name,
                said=last[-_LINES:],
            )
        return done.stdout.decode()
