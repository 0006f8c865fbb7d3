"""Which servers there are, in which version, and how each comes to this machine: `manifest.toml` as values."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from relmachine.errors import Code, RelmError

ROOM = Path(__file__).parent
"""Where the manifest lies, and the files of ours that go into sources."""

_STEPS = 1
"""Changes when the builder does something else with the same recipe, so that servers are built anew."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source tree of a Go module. Sums are digests in Go's form; `files` maps paths in the tree to files of ours,
    `variables` Go variables to the texts that the linker puts there."""

    name: str
    module: str
    version: str
    licence: str
    zip_sum: str
    mod_sum: str
    cgo: bool = False
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class GoServer:
    """A program built from a package of a source. Run with `check`, it prints `shows` and ends."""

    name: str
    source: Source
    package: str
    check: tuple[str, ...]
    shows: str

    @property
    def version(self) -> str:
        """The version of its source."""
        return self.source.version

    @property
    def licence(self) -> str:
        """The licence of its source, as an SPDX identifier."""
        return self.source.licence

    @property
    def origin(self) -> str:
        """What people look for when they want to know where it comes from."""
        return self.source.module

    def recipe_digest(self) -> str:
        """SHA-256 of everything that decides what is built, but the release of Go."""
        source = self.source
        tree = [source.module, source.version, source.zip_sum, source.mod_sum]
        files = {path: (ROOM / ours).read_text(encoding="utf-8") for path, ours in source.files.items()}
        recipe = [_STEPS, tree, files, source.cgo, dict(source.variables), self.package]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class WheelServer:
    """A program that a Python distribution brings, installed with relmachine."""

    name: str
    distribution: str
    version: str
    licence: str

    @property
    def origin(self) -> str:
        """What people look for when they want to know where it comes from."""
        return self.distribution


Server = GoServer | WheelServer


@dataclass(frozen=True, slots=True)
class Manifest:
    """All servers by name. `go` is the oldest release of Go that builds every source."""

    go: str
    servers: Mapping[str, Server]

    def get(self, name: str) -> Server:
        """The server of this name. Errors: `not_found`."""
        if name not in self.servers:
            raise RelmError(Code.NOT_FOUND, "name one of the servers in the witness", name=name, known=[*self.servers])
        return self.servers[name]

    def built(self, names: Iterable[str] = ()) -> list[GoServer]:
        """Those of `names` that are built, in the manifest's order; all when none is named. Errors: `not_found`."""
        wanted = {self.get(name).name for name in names} or self.servers.keys()
        return [item for item in self.servers.values() if isinstance(item, GoServer) and item.name in wanted]


def parse(text: str) -> Manifest:
    """`text` as a manifest. Raises TypeError or KeyError where it is not of the form: it is a file of ours."""
    tables: dict[str, Any] = tomllib.loads(text)
    sources = {name: Source(name=name, **table) for name, table in tables["sources"].items()}
    servers: dict[str, Server] = {}
    for name, table in tables["go_servers"].items():
        source, check = sources[table.pop("source")], tuple(table.pop("check"))
        servers[name] = GoServer(name=name, source=source, check=check, **table)
    for name, table in tables["wheel_servers"].items():
        servers[name] = WheelServer(name=name, **table)
    return Manifest(tables["go"], servers)


@cache
def manifest() -> Manifest:
    """The manifest that comes with this version of relmachine."""
    return parse((ROOM / "manifest.toml").read_text(encoding="utf-8"))
