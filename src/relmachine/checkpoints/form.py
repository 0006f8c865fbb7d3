"""LangGraph's checkpoints as rows, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, cast

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from relmachine.checkpoints import statements as sql
from relmachine.checkpoints.database import Row, Statement

EMPTY = "empty"
"""Kind of a value that is not there: the channel was emptied in this version."""


def typed(serde: SerializerProtocol, value: object) -> tuple[str, str]:
    """Kind and text of a value."""
    kind, body = serde.dumps_typed(value)
    return kind, b64encode(body).decode()


def untyped(serde: SerializerProtocol, kind: object, text: object) -> Any:
    """The value again."""
    return serde.loads_typed((str(kind), b64decode(str(text))))


def address(config: RunnableConfig) -> tuple[str, str]:
    """Thread and namespace that a configuration names."""
    names = config.get("configurable", {})
    return str(names["thread_id"]), str(names.get("checkpoint_ns") or "")


def named(config: RunnableConfig | None, name: str) -> str | None:
    """What the configuration says under `name`."""
    return None if config is None else config.get("configurable", {}).get(name)


def configured(thread: object, namespace: object, checkpoint: object) -> RunnableConfig:
    """The configuration that names a checkpoint."""
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint}}


def checkpoint_statements(
    serde: SerializerProtocol,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
) -> list[Statement]:
    """What stores a checkpoint: its own row, and the values of the channels that have a new version."""
    thread, namespace = address(config)
    values = checkpoint["channel_values"]
    kind, body = typed(serde, {name: part for name, part in checkpoint.items() if name != "channel_values"})
    told = cast("dict[str, Any]", get_checkpoint_metadata(config, metadata))
    row = (
        *(thread, namespace, checkpoint["id"], named(config, "checkpoint_id"), told.get("run_id")),
        *(orjson.dumps(checkpoint["channel_versions"]).decode(), kind, body, *typed(serde, told)),
    )
    made: list[Statement] = [(sql.CHECKPOINT, *row)]
    for channel, version in new_versions.items():
        value = typed(serde, values[channel]) if channel in values else (EMPTY, "")
        made.append((sql.VALUE, thread, namespace, channel, str(version), *value))
    return made


def write_statements(
    serde: SerializerProtocol, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task: str, path: str
) -> list[Statement]:
    """What stores a task's writes."""
    at = (*address(config), str(named(config, "checkpoint_id")), task)
    return [
        (sql.WRITE, *at, WRITES_IDX_MAP.get(channel, place), path, channel, *typed(serde, value))
        for place, (channel, value) in enumerate(writes)
    ]


def checkpoint_tuple(serde: SerializerProtocol, row: Row) -> CheckpointTuple:
    """A row of `statements.WHOLE` as LangGraph wants it."""
    thread, namespace, own, parent, kind, body, metadata_kind, metadata, values, writes = row
    found = cast("list[tuple[str, str, str]]", orjson.loads(str(values)))
    pending = cast("list[tuple[str, str, str, str]]", orjson.loads(str(writes)))
    checkpoint = untyped(serde, kind, body)
    checkpoint["channel_values"] = {name: untyped(serde, kind, text) for name, kind, text in found if kind != EMPTY}
    return CheckpointTuple(
        config=configured(thread, namespace, own),
        checkpoint=checkpoint,
        metadata=untyped(serde, metadata_kind, metadata),
        parent_config=configured(thread, namespace, parent) if parent else None,
        pending_writes=[(task, channel, untyped(serde, kind, text)) for task, channel, kind, text in pending],
    )
