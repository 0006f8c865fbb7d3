"""The base of images without a registry: Debian with Python by debootstrap, made once and kept in the user's cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from relmachine.servers.cache import Cache
from tests.compose.engine import run

RELEASE = "bookworm"
PACKAGES = ["libatomic1", "python3"]
_NOT_NEEDED = ["dev", "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"]


def base_archive() -> Path:
    """The archive of the base image's files, made now when there is none yet. Call while the engine is held."""
    architecture = run(["dpkg", "--print-architecture"]).strip()
    archive = Cache.of_user().root / "compose" / f"{RELEASE}-{'-'.join(PACKAGES)}-{architecture}.tar.gz"
    if archive.exists():
        return archive
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="base-") as folder:
        root, draft = Path(folder) / "root", Path(folder) / "draft"
        include = f"--include={','.join(PACKAGES)}"
        run(["nice", "debootstrap", "--variant=minbase", include, RELEASE, str(root), *_mirror()])
        for name in _NOT_NEEDED:
            shutil.rmtree(root / name)
            (root / name).mkdir()
        run(["tar", "--directory", str(root), "--numeric-owner", "--gzip", "--create", "--file", str(draft), "."])
        draft.rename(archive)
    return archive


def _mirror() -> list[str]:
    """Where this machine's own apt gets the release, if it is of this release; else debootstrap's default."""
    targets = run(["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"]).split("\n")
    return [line.split()[1] for line in targets if line.startswith(f"{RELEASE} ")][:1]
