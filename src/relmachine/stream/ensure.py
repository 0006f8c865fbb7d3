"""Create the machine's streams, or check that those that exist keep what this node promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nats.errors import Error
from nats.js.api import DiscardPolicy, RePublish, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from nats.js import JetStreamContext

_IDENTITY = ("machine", "laws_digest", "matrix_digest")
_NAME_IN_USE = 10058


async def ensure(connection: Connection, topology: Topology, replicas: int = 1) -> None:
    """Make sure the three streams exist and are as `topology` and the bounds say. May run on many nodes at once.

    Errors: `topology_mismatch` with both digests when they belong to other laws, or with the settings that drifted;
    `unreachable`, also when there are fewer servers than `replicas`.
    """
    try:
        for wanted in configurations(topology, connection.bounds, replicas):
            found = await _found(connection.jetstream, wanted)
            _check_laws(wanted, found)
            _check_settings(wanted, found)
    except ServiceUnavailableError as error:
        raise unreachable(connection.url, error) from error
    except APIError as error:
        raise _not_made(connection, replicas, error) from error
    except (Error, OSError, TimeoutError) as error:
        raise unreachable(connection.url, error) from error


def _not_made(connection: Connection, replicas: int, error: APIError) -> RelmError:
    return RelmError(
        Code.UNREACHABLE,
        f"the server at {connection.url} does not make streams with {replicas} replicas ({error.description}): "
        "start as many servers in one cluster, or ask for fewer replicas",
        url=connection.url,
        replicas=replicas,
        err_code=error.err_code,
    )


def configurations(topology: Topology, bounds: StreamBounds, replicas: int = 1) -> list[StreamConfig]:
    """The three streams as they must be."""
    steps = _log_of(topology, bounds, replicas, topology.steps_stream, [topology.steps_subjects])
    steps.allow_atomic = True
    journal = _log_of(
        topology, bounds, replicas, topology.feed_stream("journal"), [topology.feed_subject("journal", "*")]
    )
    feeds = _log_of(
        topology,
        bounds,
        replicas,
        topology.feed_stream("out"),
        [topology.feed_subject("out", "*"), topology.feed_subject("rejected", "*")],
    )
    for feed in (journal, feeds):
        # Announced only once stored, so that a subscriber who reads on being told finds the message.
        feed.republish = RePublish(
            src=f"relm.{topology.machine}.*.*",
            dest=f"relm.{topology.machine}.live.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
        )
    return [steps, journal, feeds]


def _log_of(topology: Topology, bounds: StreamBounds, replicas: int, name: str, subjects: list[str]) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        max_msgs_per_subject=-1,
        max_msg_size=bounds.message_bytes_max,
        duplicate_window=bounds.dedupe_window_seconds,
        num_replicas=replicas,
        allow_direct=True,
        deny_delete=True,
        deny_purge=True,
        metadata=dict(topology.metadata),
    )


async def _found(jetstream: JetStreamContext, wanted: StreamConfig) -> StreamConfig:
    assert wanted.name is not None
    try:
        return (await jetstream.stream_info(wanted.name)).config
    except NotFoundError:
        pass
    try:
        return (await jetstream.add_stream(wanted)).config  # pyright: ignore[reportUnknownMemberType]
    except APIError as error:
        if error.err_code != _NAME_IN_USE:
            raise
    return (await jetstream.stream_info(wanted.name)).config


def _check_laws(wanted: StreamConfig, found: StreamConfig) -> None:
    ours, theirs = wanted.metadata or {}, found.metadata or {}
    if any(ours[key] != theirs.get(key) for key in _IDENTITY):
        raise RelmError(
            Code.TOPOLOGY_MISMATCH,
            "run the machine that these streams were made for, or give the changed machine a new name: "
            "its laws are not those of the log",
            stream=wanted.name,
            expected={key: ours[key] for key in _IDENTITY},
            found={key: theirs.get(key) for key in _IDENTITY},
        )


def _check_settings(wanted: StreamConfig, found: StreamConfig) -> None:
    drift = {
        name: {"expected": str(expected), "found": str(present)}
        for name, expected, present in ((name, getattr(wanted, name), getattr(found, name)) for name in _PROMISED)
        if expected != present and (expected or present)
    }
    if wanted.republish is not None and (
        found.republish is None
        or (wanted.republish.src, wanted.republish.dest) != (found.republish.src, found.republish.dest)
    ):
        drift["republish"] = {"expected": str(wanted.republish), "found": str(found.republish)}
    if drift:
        raise RelmError(
            Code.TOPOLOGY_MISMATCH,
            f"set the stream {wanted.name} back to the settings in the witness: what is promised rests on them",
            stream=wanted.name,
            drift=drift,
        )


_PROMISED = (
    "subjects",
    "storage",
    "retention",
    "discard",
    "max_msgs",
    "max_bytes",
    "max_age",
    "max_msgs_per_subject",
    "max_msg_size",
    "duplicate_window",
    "num_replicas",
    "allow_direct",
    "allow_atomic",
    "deny_delete",
    "deny_purge",
    "sealed",
    "subject_transform",
    "mirror",
)
