"""LangGraph's checkpointer on a store: `BaseCheckpointSaver`, for synchronous and asynchronous graphs alike.

The database lives on an event loop of its own thread. So one saver serves any number of threads and event loops, and
its synchronous methods never wait for a loop that waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from relmachine.checkpoints.opened import Opened, Opening
from relmachine.checkpoints.search import Search
from relmachine.checkpoints.sqlite import SqliteCheckpoints


class Saver(BaseCheckpointSaver[str]):
    """Keeps a graph's checkpoints. Use it as a context manager, `with` or `async with`.

    Everything it stores is durable when the call returns, and every call may be made twice. Errors: `unreachable` when
    the database does not answer, `limit_exceeded` when one super-step changes more than it takes.
    """

    def __init__(self, opening: Opening, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self._opening = opening
        self._open = Opened()

    @classmethod
    def sqlite(cls, path: str | Path, *, serde: SerializerProtocol | None = None) -> Saver:
        """A saver on the SQLite file at `path`, made when there is none."""
        return cls(lambda: SqliteCheckpoints.open(Path(path)), serde=serde)

    @classmethod
    def rqlite(cls, urls: str, *, serde: SerializerProtocol | None = None) -> Saver:
        """A saver on rqlite servers: their addresses (`http://user:password@host:port`), separated by commas."""
        from relmachine.checkpoints.rqlite import RqliteCheckpoints
        from relmachine.store.rqlite.bounds import RqliteBounds

        places = [url.strip() for url in urls.split(",")]
        return cls(lambda: RqliteCheckpoints.open(places, RqliteBounds()), serde=serde)

    def __enter__(self) -> Saver:
        self._open.begin(self._opening)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.end()

    async def __aenter__(self) -> Saver:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """A version after `current`. Branches of a thread count alike but differ in values: so a part is drawn."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{token_hex(8)}"

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, or the latest of its thread and namespace."""
        return self._open.wait(self._open.kept.get, self.serde, config)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `get_tuple`."""
        return await self._open.hear(self._open.kept.get, self.serde, config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first: of the thread, namespace and id in `config`, with the metadata in `filter`."""
        search = Search(self.serde, config, filter or {}, before, limit)
        while search.goes_on:
            yield from search.take(self._open.wait(self._open.kept.page, *search.next()))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """See `list`."""
        search = Search(self.serde, config, filter or {}, before, limit)
        while search.goes_on:
            for found in search.take(await self._open.hear(self._open.kept.page, *search.next())):
                yield found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint whose parent `config` names; returns what names it."""
        return self._open.wait(self._open.kept.put, self.serde, config, checkpoint, metadata, new_versions)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See `put`."""
        return await self._open.hear(self._open.kept.put, self.serde, config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task of the checkpoint's super-step wrote."""
        self._open.wait(self._open.kept.put_writes, self.serde, config, writes, task_id, task_path)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """See `put_writes`."""
        await self._open.hear(self._open.kept.put_writes, self.serde, config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Forget all of a thread."""
        self._open.wait(self._open.kept.delete_thread, thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        """See `delete_thread`."""
        await self._open.hear(self._open.kept.delete_thread, thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Forget what these runs stored (`run_id` in a checkpoint's metadata)."""
        self._open.wait(self._open.kept.delete_for_runs, run_ids)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See `delete_for_runs`."""
        await self._open.hear(self._open.kept.delete_for_runs, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Give a thread all that another one has."""
        self._open.wait(self._open.kept.copy_thread, source_thread_id, target_thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See `copy_thread`."""
        await self._open.hear(self._open.kept.copy_thread, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Forget all of the threads (`delete`), or all but the latest of each namespace and what it needs."""
        self._open.wait(self._open.kept.prune, self.serde, thread_ids, strategy)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See `prune`."""
        await self._open.hear(self._open.kept.prune, self.serde, thread_ids, strategy)
