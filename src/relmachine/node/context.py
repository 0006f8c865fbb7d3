"""What a node leaves in its data folder so that commands find it: `context.json`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from relmachine.errors import Code, RelmError
from relmachine.node.living import birth
from relmachine.node.private import write_private
from relmachine.store import sqlite
from relmachine.store.port import Reads

FILE_NAME = "context.json"


class Context(BaseModel):
    """Addresses of a node. `pid` is None when it was closed in order; the store can be read all the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    version: str
    laws_digest: str
    store_path: Path | None
    """In the file relative to the data folder, so that a folder may be moved or copied with all it holds; None for a
    store on the servers at `store_urls`."""

    store_urls: tuple[str, ...] = ()

    nats_url: str
    http_url: str | None
    control_url: str | None = None
    """Where the control lane answers by itself, whatever else the node has to do."""

    machine_path: str | None = None
    """What the machine was loaded from (`machine.loader.located`); None for one that was made in Python."""

    pid: int | None
    began: str | None = None
    """When the process of this id began (`node.living`), written down when the file is."""
    nats_pid: int | None
    folder: Path | None = None
    """The data folder that the node runs on. A copy of it has the store, but not the node."""

    def save(self, folder: Path) -> None:
        """Write the file in one move, so that a reader never sees half of it, and nobody else its logins."""
        home = folder.resolve()
        store = None if self.store_path is None else self.store_path.resolve()
        inside = store.relative_to(home) if store is not None and store.is_relative_to(home) else store
        began = None if self.pid is None else birth(self.pid)
        written = self.model_copy(update={"store_path": inside, "folder": home, "began": began})
        write_private(folder / FILE_NAME, written.model_dump_json(indent=2))

    @classmethod
    def load(cls, folder: Path) -> Context:
        """The context in `folder`, with the store that lies there; no process when the node runs on another folder.

        Errors: `not_found`, with what to start; `unreachable` when the file is not what a node writes; OSError when
        it may not be read.
        """
        path, home = folder / FILE_NAME, folder.resolve()
        try:
            found = cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _absent(folder, path) from error
        except (IsADirectoryError, ValidationError) as error:
            sentence = f"remove this file, which no node wrote like that, and run `relm dev MACHINE --data {folder}`"
            raise RelmError(Code.UNREACHABLE, sentence, path=str(path)) from error
        here = {"store_path": None if found.store_path is None else home / found.store_path, "folder": home}
        return found.model_copy(update=here if found.folder == home else {**here, "pid": None, "nats_pid": None})

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Reads]:
        """The store, to look at, whether the node runs or not. Errors: `not_found`, `store_schema_future`,
        `unreachable`.
        """
        if self.store_path is None:
            from relmachine.store.rqlite import store as rqlite  # its client comes with the extra "cluster"

            store = await rqlite.open_reading(self.store_urls)
        else:
            store = sqlite.open_reading(self.store_path)
        try:
            yield store
        finally:
            await store.close()

    @property
    def running(self) -> bool:
        """Whether the node's process is there: that one, not another that was given its id since."""
        return self.pid is not None and self.began is not None and birth(self.pid) == self.began


def _absent(folder: Path, path: Path) -> RelmError:
    if folder.exists() and not folder.is_dir():
        sentence = f"{folder} is a file: name the data folder of a node with --context"
    else:
        sentence = (
            f"no node has run in {folder}: start one with `relm dev MACHINE --data {folder}`, or name its folder "
            "with --context"
        )
    return RelmError(Code.NOT_FOUND, sentence, path=str(path))
