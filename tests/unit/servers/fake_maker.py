"""Servers that take no compiler: a manifest of two, and a maker that writes shell scripts and keeps a journal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relmachine.servers.builder import Built, build
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import GoServer, Manifest, Source, WheelServer

DEADLINE_SECONDS = 30.0

SOURCE = Source("tools", "example.org/tools", "1.0.0", "MIT", "h1:zip", "h1:mod")
HAMMER = GoServer("hammer", SOURCE, "./hammer", ("--version",), "hammer 1.0.0")
SAW = GoServer("saw", SOURCE, "./saw", ("--version",), "saw 1.0.0")
NAILS = WheelServer("nails", "nails-bin", "2.0.0", "MIT")
KNOWN = Manifest("1.26.6", {server.name: server for server in (HAMMER, SAW, NAILS)})


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return once `condition` holds; fail after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class FakeMaker:
    """Makes scripts that say their name and version. With `pauses`, it works only once `folder/go` is there."""

    folder: Path
    pauses: bool = False
    says: str = "{name} 1.0.0"
    toolchain: str = "sh"

    def __call__(self, server: GoServer, folder: Path) -> None:
        with (self.folder / "journal").open("a") as journal:
            journal.write(f"{server.name} {os.getpid()}\n")
        program = folder / server.name
        program.write_text(f"#!/bin/sh\necho {self.says.format(name=server.name)}\n")
        program.chmod(0o755)
        if self.pauses:
            wait_for((self.folder / "go").exists, "the word to go on")

    def journal(self) -> list[str]:
        """Names of what was made, by any process."""
        journal = self.folder / "journal"
        return [line.split()[0] for line in journal.read_text().splitlines()] if journal.exists() else []


def build_with(maker: FakeMaker, root: Path, *names: str) -> list[Built]:
    """Build with `maker` in a cache below `root`; what is said goes to `root.said`, one line each."""

    def say(line: str) -> None:
        with root.with_suffix(".said").open("a") as said:
            said.write(f"{line}\n")

    return build(names, cache=Cache(root), known=KNOWN, maker=lambda: maker, say=say)


def said(root: Path) -> list[str]:
    """What `build_with` said so far."""
    file = root.with_suffix(".said")
    return file.read_text().splitlines() if file.exists() else []
