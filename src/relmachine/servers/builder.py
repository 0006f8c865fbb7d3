"""Build the servers that are not there yet: one process at a time, each server whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from relmachine.errors import Code, RelmError
from relmachine.servers.cache import Cache, Receipt
from relmachine.servers.go_source import GoMaker
from relmachine.servers.manifest import GoServer, Manifest, manifest

_CHECK_SECONDS_MAX = 60.0


class Maker(Protocol):
    """What makes programs. `toolchain` names it in the receipt."""

    @property
    def toolchain(self) -> str: ...

    def __call__(self, server: GoServer, folder: Path) -> None:
        """Put the program of `server` into `folder`, under the server's name."""
        ...


@dataclass(frozen=True, slots=True)
class Built:
    """A server that is there now. `fresh` when this call built it."""

    name: str
    version: str
    fresh: bool
    path: Path
    receipt: Receipt


def build(
    names: Iterable[str] = (),
    *,
    cache: Cache | None = None,
    known: Manifest | None = None,
    maker: Callable[[], Maker] | None = None,
    say: Callable[[str], None] = print,
) -> list[Built]:
    """Have the servers of these names (all when none is named); build those that are missing, tell each by `say`.

    A second process waits for the first, and then finds what that one built. Go's caches are removed when everything
    is there, and kept after a failure. Errors: `not_found`, `server_build_failed`.
    """
    cache, known = cache or Cache.of_user(), known or manifest()
    wanted = known.built(names)
    if all(cache.receipt(server) for server in wanted):
        return [_built(cache, server, fresh=False) for server in wanted]
    with cache.locked(lambda: say("another process builds servers: waiting for it")):
        missing = [server for server in wanted if cache.receipt(server) is None]
        if missing:
            make = maker() if maker else GoMaker(cache, known.go)
            for server in missing:
                _make(server, cache, make, say)
        cache.drop_build_caches()
    return [_built(cache, server, fresh=server in missing) for server in wanted]


def _make(server: GoServer, cache: Cache, make: Maker, say: Callable[[str], None]) -> None:
    say(f"{server.name} {server.version}: building from {server.origin}")
    started = time.monotonic()
    try:
        folder = cache.work / "half-built"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(server, folder)
        _check(server, folder / server.name)
        receipt = cache.keep(server, folder, time.monotonic() - started, make.toolchain)
    except BaseException:
        say(f"{server.name} {server.version}: not built, after {time.monotonic() - started:.0f} s")
        raise
    say(f"{server.name} {server.version}: {receipt.seconds:.0f} s, {receipt.size_bytes / 1e6:.0f} MB")


def _check(server: GoServer, program: Path) -> None:
    """Run it once: a program that does not start, or is another, never reaches the cache."""
    try:
        done = subprocess.run(
            [program, *server.check],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CHECK_SECONDS_MAX,
            check=False,
        )
        said = done.stdout + done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if server.shows not in said:
        sentence = "correct the recipe: the program that was built does not say what it is"
        raise RelmError(Code.SERVER_BUILD_FAILED, sentence, server=server.name, expected=server.shows, said=said[-500:])


def _built(cache: Cache, server: GoServer, *, fresh: bool) -> Built:
    receipt = cache.receipt(server)
    if receipt is None:
        raise RelmError(Code.SERVER_MISSING, "run it again: another process removed the server", server=server.name)
    return Built(server.name, server.version, fresh, cache.binary(server), receipt)
