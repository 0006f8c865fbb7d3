"""Make the folders from which images are built: one for each server, with its program, and one for nodes.

    .venv/bin/python deploy/compose/images.py [FOLDER]

The servers are those of `relm servers`; packages come with the digests of requirements.lock. So building an image needs
no network. Needs uv, and runs on the platform that the images are for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from relmachine.cluster.containers import DATA, container_spec, volumes
from relmachine.cluster.plan import programs
from relmachine.servers import locate

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "build" / "images"
PYTHON = "3.11"
"""Of the base image."""


def main(folder: Path) -> None:
    """Make the folders anew. Errors: `server_missing`, CalledProcessError."""
    os.umask(0o022)  # whoever runs in a container may read what is in its image
    shutil.rmtree(folder, ignore_errors=True)
    for program in programs(container_spec("any", "any", nodes=3)):
        made = _context(folder / program)
        shutil.copyfile(locate(program), made / program)
        (made / program).chmod(0o755)
    _site(_context(folder / "node"))


def _context(folder: Path) -> Path:
    """What all have: how to build, the health check, what a server is started by, an empty folder for each volume."""
    for path in volumes().values():
        (folder / DATA.name / path.relative_to(DATA)).mkdir(parents=True)
    shutil.copy(ROOT / "Dockerfile", folder)
    for script in ("ready", "with-secrets"):
        shutil.copy(ROOT / "deploy" / "compose" / script, folder)
    return folder


def _site(folder: Path) -> None:
    """relmachine and what it imports, without what only its tests need."""
    pinned = folder / "requirements.txt"
    resolve = ["--extra", "cluster", "--constraints", "requirements.lock", "--python-version", PYTHON]
    _uv("pip", "compile", "--no-header", "--no-annotate", "--generate-hashes", *resolve, "pyproject.toml", "-o", pinned)
    into = ["--target", folder / "site", "--python-version", PYTHON, "--link-mode", "copy"]
    _uv("pip", "install", *into, "--require-hashes", "--only-binary", ":all:", "-r", pinned)
    _uv("pip", "install", *into, "--no-deps", ".")
    shutil.rmtree(folder / "site" / "bin")  # commands of packages; nodes are started as modules


def _uv(*arguments: str | Path) -> None:
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    found = shutil.which("uv") or str(beside)
    subprocess.run([found, *arguments[:2], "--quiet", *arguments[2:]], cwd=ROOT, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else DEFAULT)
