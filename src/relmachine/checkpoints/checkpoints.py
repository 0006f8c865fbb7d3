"""Reading and writing checkpoints on a database. Lives on the database's event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol

from relmachine.checkpoints import statements as sql
from relmachine.checkpoints.database import Database, Row, Statement
from relmachine.checkpoints.form import (
    address,
    checkpoint_statements,
    checkpoint_tuple,
    configured,
    named,
    untyped,
    write_statements,
)
from relmachine.checkpoints.keeping import Ancestor, Name, dropped_but_latest

FOUND_PER_PAGE = 32
"""Checkpoints looked at together when some are searched for."""

DELETE, KEEP_LATEST = "delete", "keep_latest"
"""Strategies of pruning, in LangGraph's words."""

_DELTAS = "counters_since_delta_snapshot"


class Checkpoints:
    """All that a saver does, on `database` with `serde`'s bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def close(self) -> None:
        """Let go of the database."""
        await self._database.close()

    async def put(
        self,
        serde: SerializerProtocol,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; returns the configuration that names it."""
        await self._database.write(checkpoint_statements(serde, config, checkpoint, metadata, new_versions))
        return configured(*address(config), checkpoint["id"])

    async def put_writes(
        self, serde: SerializerProtocol, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task: str, path: str
    ) -> None:
        """Store what a task wrote."""
        if writes:
            await self._database.write(write_statements(serde, config, writes, task, path))

    async def get(self, serde: SerializerProtocol, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, or its thread's latest."""
        own = named(config, "checkpoint_id")
        if own is None:
            ((own,),) = cast("list[tuple[str | None]]", await self._database.rows((sql.LATEST, *address(config))))
        if own is None:
            return None
        found = await self._whole(serde, [(*address(config), own)])
        return found[0] if found else None

    async def page(
        self,
        serde: SerializerProtocol,
        config: RunnableConfig | None,
        wanted: Mapping[str, Any],
        before: RunnableConfig | None,
        limit: int | None,
        after: Row | None,
    ) -> tuple[list[CheckpointTuple], Row | None]:
        """The next checkpoints that match, newest first, and where to go on; None there is the end."""
        of = (named(config, "thread_id"), named(config, "checkpoint_ns"), named(config, "checkpoint_id"))
        place = after or (None, None, None)
        size = FOUND_PER_PAGE if limit is None or wanted else min(limit, FOUND_PER_PAGE)
        found = await self._database.rows((sql.FOUND, *of, named(before, "checkpoint_id"), *place, size))
        names = [
            (thread, namespace, own)
            for own, thread, namespace, kind, text in found
            if not wanted or _matches(untyped(serde, kind, text), wanted)
        ]
        return await self._whole(serde, names[:limit]), found[-1][:3] if len(found) == size else None

    async def delete_thread(self, thread: str) -> None:
        """Forget all of the thread."""
        await self._database.write([(statement, thread) for statement in sql.DELETED_THREAD])

    async def delete_for_runs(self, runs: Sequence[str]) -> None:
        """Forget what these runs stored, and values that nothing refers to any more."""
        asked = _json(list(runs))
        threads = [row[0] for row in await self._database.rows((sql.THREADS_OF_RUNS, asked))]
        deleted: list[Statement] = [(statement, asked) for statement in sql.DELETED_RUNS]
        await self._database.write([*deleted, (sql.UNUSED_VALUES, _json(threads))])

    async def copy_thread(self, source: str, target: str) -> None:
        """Give `target` all that `source` has."""
        await self._database.write([(statement, source, target) for statement in sql.COPIED])

    async def prune(self, serde: SerializerProtocol, threads: Sequence[str], strategy: str) -> None:
        """Forget all of the threads, or all but the latest of each namespace and what its deltas rest on.

        Errors: ValueError for another strategy than `delete` and `keep_latest`.
        """
        if strategy not in (DELETE, KEEP_LATEST):
            raise ValueError(f"strategy is {KEEP_LATEST!r} or {DELETE!r}, not {strategy!r}")
        for thread in threads:
            await (self.delete_thread(thread) if strategy == DELETE else self._keep_latest(serde, thread))

    async def _keep_latest(self, serde: SerializerProtocol, thread: str) -> None:
        rows = await self._database.rows((sql.LINEAGE, thread))
        names = _json(dropped_but_latest([_ancestor(serde, row) for row in rows]))
        dropped: list[Statement] = [(statement, thread, names) for statement in sql.DROPPED]
        await self._database.write([*dropped, (sql.UNUSED_VALUES, _json([thread]))])

    async def _whole(self, serde: SerializerProtocol, names: Sequence[tuple[object, ...]]) -> list[CheckpointTuple]:
        if not names:
            return []
        return [checkpoint_tuple(serde, row) for row in await self._database.rows((sql.WHOLE, _json(names)))]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _matches(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())


def _ancestor(serde: SerializerProtocol, row: Row) -> Ancestor:
    namespace, own, parent, kind, text, whole = row
    name: Name = (str(namespace), str(own))
    deltas = frozenset(cast("dict[str, object]", untyped(serde, kind, text).get(_DELTAS) or {}))
    return Ancestor(name, None if parent is None else str(parent), deltas, frozenset(orjson.loads(str(whole))))
