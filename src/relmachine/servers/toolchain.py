"""Which Go builds: the installed one if it is new enough, else the release that it fetches as a module itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from relmachine.errors import Code, RelmError
from relmachine.servers.cache import Cache

_FETCHES = (1, 21)
"""The first Go that fetches other releases."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A way to call Go: the program, and the environment that makes it the release `version`."""

    go: str
    version: str
    environment: dict[str, str]


def find(needed: str, cache: Cache) -> Toolchain:
    """A Go of release `needed` ("1.26.6") or newer, that writes to `cache` and nowhere else.

    Errors: `server_build_failed` with what to install.
    """
    go = shutil.which("go")
    if go is None:
        raise RelmError(Code.SERVER_BUILD_FAILED, f"{_install(needed)}: there is no `go` on the PATH")
    environment = {
        **os.environ,
        "GOCACHE": str(cache.go_build),
        "GOMODCACHE": str(cache.go_modules),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    found = installed(go, environment)
    if _numbers(found) >= _numbers(needed):
        return Toolchain(go, found, environment)
    if _numbers(found) < _FETCHES:
        raise RelmError(Code.SERVER_BUILD_FAILED, f"{_install(needed)}: this one is too old", found=found, path=go)
    return Toolchain(go, needed, {**environment, "GOTOOLCHAIN": f"go{needed}"})


def installed(go: str, environment: dict[str, str]) -> str:
    """The release of this Go, as "1.26.6"; "0" when it does not say."""
    told = subprocess.run([go, "version"], env=environment, capture_output=True, text=True, check=False).stdout
    release = re.search(r"\bgo(\d+(?:\.\d+)*)", told)
    return release[1] if release else "0"


def require_c_compiler(toolchain: Toolchain) -> None:
    """Errors: `server_build_failed` when the C compiler that Go would call is not there."""
    asked = [toolchain.go, "env", "CC"]
    told = subprocess.run(asked, env=toolchain.environment, capture_output=True, text=True, check=False).stdout.split()
    if not told or shutil.which(told[0]) is None:
        raise RelmError(
            Code.SERVER_BUILD_FAILED,
            "install a C compiler (Debian: packages gcc and libc6-dev): this server contains SQLite",
            compiler=" ".join(told),
        )


def _install(needed: str) -> str:
    first = ".".join(map(str, _FETCHES))
    return (
        f"install Go {needed} or newer, or any from {first} on, which then fetches {needed} as a module "
        "(Debian: package golang-go of release 13 or of bookworm-backports)"
    )


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
