"""Create the machine's streams, or check that those that exist keep what this node promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nats.errors import Error
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from relmachine.errors import Code, RelmError
from relmachine.stream import matrix
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.streams import drift

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.api import StreamConfig

_IDENTITY = ("machine", "laws_digest", "matrix_digest")
_NAME_IN_USE = 10058
_TOO_FEW_SERVERS = frozenset((10005, 10023, 10074))
"""No suitable peers; insufficient resources; replicas without a cluster."""


async def missing(connection: Connection, wanted: Sequence[StreamConfig]) -> list[StreamConfig]:
    """Which streams are not there; those that are there are as wanted. Changes nothing.

    Errors: `topology_mismatch` with both digests, and the steps that differ, when they belong to other laws, or with
    the settings that drifted; `unreachable`.
    """
    try:
        found = await asyncio.gather(*(_look(connection.jetstream, stream) for stream in wanted))
    except (Error, OSError, TimeoutError) as error:
        raise unreachable(connection.url, error) from error
    for stream, present in zip(wanted, found, strict=True):
        if present is not None:
            _check_laws(stream, present)
            _check_settings(stream, present)
    return [stream for stream, present in zip(wanted, found, strict=True) if present is None]


async def make(connection: Connection, wanted: Sequence[StreamConfig]) -> None:
    """Make these streams. May run on many nodes at once.

    Errors: as of `missing`; `stream_unfit` when the server refuses a setting; `unreachable` also when there are fewer
    servers than replicas.
    """
    try:
        for stream in wanted:
            made = await _make(connection.jetstream, stream)
            _check_laws(stream, made)
            _check_settings(stream, made)
    except APIError as error:
        replicas = wanted[0].num_replicas
        raise not_made(connection, f"streams with {replicas} replicas", error, replicas=replicas) from error
    except (Error, OSError, TimeoutError) as error:
        raise unreachable(connection.url, error) from error


def not_made(connection: Connection, what: str, error: APIError, **witness: object) -> RelmError:
    """The error for a server that does not make `what`, by its own words."""
    if isinstance(error, ServiceUnavailableError):
        return unreachable(connection.url, error)
    few = error.err_code in _TOO_FEW_SERVERS
    advice = (
        "start as many servers in one cluster, or ask for fewer replicas"
        if few
        else "change the limit that it names, of the server or of the account"
    )
    return RelmError(
        Code.UNREACHABLE if few else Code.STREAM_UNFIT,
        f"the server at {connection.url} does not make {what} ({error.description}): {advice}",
        url=connection.url,
        err_code=error.err_code,
        **witness,
    )


async def _look(jetstream: JetStreamContext, wanted: StreamConfig) -> StreamConfig | None:
    assert wanted.name is not None
    try:
        return (await jetstream.stream_info(wanted.name)).config
    except NotFoundError:
        return None


async def _make(jetstream: JetStreamContext, wanted: StreamConfig) -> StreamConfig:
    assert wanted.name is not None
    try:
        return (await jetstream.add_stream(wanted)).config  # pyright: ignore[reportUnknownMemberType]
    except APIError as error:
        if error.err_code != _NAME_IN_USE:
            raise
    return (await jetstream.stream_info(wanted.name)).config


def _check_laws(wanted: StreamConfig, found: StreamConfig) -> None:
    ours, theirs = wanted.metadata or {}, found.metadata or {}
    if all(ours[key] == theirs.get(key) for key in _IDENTITY):
        return
    here, there = matrix.read(ours), matrix.read(theirs)
    difference = None if here is None or there is None else matrix.difference(here, there)
    changed = "the stream does not say how its steps depend" if difference is None else difference.sentence()
    raise RelmError(
        Code.TOPOLOGY_MISMATCH,
        "run the machine that these streams were made for, or give the changed machine a new name: "
        f"its laws are not those of the log ({changed})",
        stream=wanted.name,
        expected={key: ours[key] for key in _IDENTITY},
        found={key: theirs.get(key) for key in _IDENTITY},
        **({} if difference is None else difference.as_json()),
    )


def _check_settings(wanted: StreamConfig, found: StreamConfig) -> None:
    changed = drift(wanted, found)
    if changed:
        raise RelmError(
            Code.TOPOLOGY_MISMATCH,
            f"set the stream {wanted.name} back to the settings in the witness: what is promised rests on them",
            stream=wanted.name,
            drift=changed,
        )
