"""Where built servers lie: the user's cache folder, one folder per server, version, platform and recipe."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path

from relmachine.servers.manifest import GoServer

_RECEIPT = "receipt.json"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was built: seconds that it took, the release of Go, size in bytes and SHA-256 of the program."""

    seconds: float
    toolchain: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache below `root`. A server's folder appears whole, by a rename, or not at all."""

    root: Path

    @classmethod
    def of_user(cls) -> Cache:
        """The cache in the user's cache folder (XDG Base Directory: an XDG_CACHE_HOME that is relative is ignored)."""
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return cls((given if given.is_absolute() else Path.home() / ".cache") / "relmachine")

    @property
    def work(self) -> Path:
        """Trees, logs and half-built servers. Touch it only while holding the lock."""
        return self.root / "work"

    @property
    def go_build(self) -> Path:
        """Go's build cache, ours alone."""
        return self.root / "go" / "build"

    @property
    def go_modules(self) -> Path:
        """Go's module cache, ours alone."""
        return self.root / "go" / "modules"

    def place(self, server: GoServer) -> Path:
        """The folder of a server, whether it is there or not."""
        return self.root / "servers" / server.name / f"{server.version}-{_platform()}-{server.recipe_digest()[:12]}"

    def binary(self, server: GoServer) -> Path:
        """The program of a server, whether it is there or not."""
        return self.place(server) / server.name

    def receipt(self, server: GoServer) -> Receipt | None:
        """What was built; None when it was not, or when its program is not what the receipt says."""
        try:
            receipt = Receipt(**json.loads((self.place(server) / _RECEIPT).read_bytes()))
            whole = self.binary(server).stat().st_size == receipt.size_bytes
        except (OSError, ValueError, TypeError):
            return None
        return receipt if whole else None

    def keep(self, server: GoServer, folder: Path, seconds: float, toolchain: str) -> Receipt:
        """Let `folder`, which holds the program, become the server's folder. Call while holding the lock."""
        program = folder / server.name
        with program.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        receipt = Receipt(round(seconds, 1), toolchain, program.stat().st_size, digest)
        (folder / _RECEIPT).write_text(json.dumps(asdict(receipt), indent=1), encoding="utf-8")
        place = self.place(server)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)  # there only when it is damaged
        folder.rename(place)
        return receipt

    @contextlib.contextmanager
    def locked(self, waiting: Callable[[], None]) -> Generator[None]:
        """Hold the cache for writing; calls `waiting` once when another process holds it, then waits for it.

        The kernel lets go of the lock when the holding process ends, however it ends.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def drop_build_caches(self) -> None:
        """Remove what only building needs. Call while holding the lock."""
        for folder in (self.work, self.root / "go"):
            shutil.rmtree(folder, ignore_errors=True)


def _platform() -> str:
    return f"{platform.system()}-{platform.machine()}".lower()
