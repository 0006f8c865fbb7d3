"""What a node leaves in its data folder so that commands find it: `context.json`."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from relmachine.errors import Code, RelmError

FILE_NAME = "context.json"


class Context(BaseModel):
    """Addresses of a node. `pid` is None when it was closed in order; the store can be read all the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    version: str
    laws_digest: str
    store_path: Path
    nats_url: str
    http_url: str | None
    pid: int | None
    nats_pid: int | None

    def save(self, folder: Path) -> None:
        """Write the file in one move, so that a reader never sees half of it."""
        temporary = folder / f"{FILE_NAME}.{os.getpid()}"
        temporary.write_text(self.model_dump_json(indent=2))
        temporary.replace(folder / FILE_NAME)

    @classmethod
    def load(cls, folder: Path) -> Context:
        """The context in `folder`. Errors: `not_found`, with what to start."""
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            raise RelmError(
                Code.NOT_FOUND,
                f"no node has run in {folder}: start one with `relm dev MACHINE --data {folder}`, or name its folder "
                "with --context",
                path=str(path),
            ) from error

    @property
    def running(self) -> bool:
        """Whether the node's process is there."""
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
