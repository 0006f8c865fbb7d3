"""All that a machine has on a NATS server, in one value: streams, subjects, consumers, accounts, rights. Pure.

It is made of the very values that are sent to servers and written into their configuration, for people and programs to
look at before anything runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from relmachine.stream import consumers, streams
from relmachine.stream.accounts import Account, accounts
from relmachine.stream.rights import Right, right_to_make, rights
from relmachine.stream.topology import FeedKind, Topology

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits
    from relmachine.stream.bounds import StreamBounds

STORE_ID = "STORE_ID"
"""Stands for the id of a store, in the name of its consumer."""

_AGENTS, _NODES, _SERVER = "agents", "nodes", "the server"


@dataclass(frozen=True, slots=True)
class Subject:
    """A pattern of subjects. `stream` is where its messages are kept, if anywhere; `published_by` and `read_by` say who
    does, the other two which accounts may.
    """

    subject: str
    stream: str | None
    carries: str
    published_by: tuple[str, ...]
    read_by: tuple[str, ...]
    accounts_that_may_publish: tuple[str, ...]
    accounts_that_may_hear: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, its settings on which promises rest, as JSON values, and what it says of the machine."""

    name: str
    subjects: tuple[str, ...]
    settings: dict[str, object]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Consumer:
    """The consumer of a store, its settings on which promises rest and those of a node, as JSON values."""

    name: str
    stream: str
    subjects: tuple[str, ...]
    settings: dict[str, object]


@dataclass(frozen=True, slots=True)
class Description:
    """See the module."""

    machine: str
    replicas: int
    streams: Sequence[Stream]
    subjects: Sequence[Subject]
    consumers: Sequence[Consumer]
    accounts: Sequence[Account]
    node_rights: Sequence[Right]

    def as_json(self) -> dict[str, object]:
        """All of it as JSON values."""
        return asdict(self)


def describe(topology: Topology, limits: Limits, bounds: StreamBounds, replicas: int = 1) -> Description:
    """What a node with these settings makes, checks and needs, and what a server shared with others should allow."""
    shared = accounts(topology)
    consumer = topology.consumer(STORE_ID)
    wanted = consumers.hint_consumer(consumer, bounds, limits)
    lane = consumers.lane_consumer(topology.control_consumer(STORE_ID), topology, bounds)
    return Description(
        machine=topology.machine,
        replicas=replicas,
        streams=[
            Stream(name, tuple(made.subjects or ()), streams.promised(made), dict(topology.metadata))
            for name, made in zip(topology.streams, streams.configurations(topology, bounds, replicas), strict=True)
        ],
        subjects=_subjects(topology, shared),
        consumers=[
            Consumer(consumer, topology.steps_stream, (topology.steps_subjects,), consumers.promised(wanted)),
            Consumer(
                topology.control_consumer(STORE_ID),
                topology.control_stream,
                (topology.control_subject("*"),),
                consumers.promised(lane),
            ),
        ],
        accounts=shared,
        node_rights=[*rights(topology), *map(right_to_make, topology.streams)],
    )


def _subjects(topology: Topology, shared: Sequence[Account]) -> list[Subject]:
    def subject(pattern: str, stream: str | None, carries: str, by: tuple[str, ...], to: tuple[str, ...]) -> Subject:
        may_publish = tuple(account.name for account in shared if account.may_publish(pattern))
        may_hear = tuple(account.name for account in shared if account.may_hear(pattern))
        return Subject(pattern, stream, carries, by, to, may_publish, may_hear)

    feeds: tuple[tuple[FeedKind, str], ...] = (
        ("journal", "what became of every step"),
        ("out", "claims newly settled or superseded"),
        ("rejected", "refused steps with their witness"),
        ("effect", "what became of what threads were told, and where it took hold"),
    )
    return [
        subject(topology.steps_subjects, topology.steps_stream, "one step, a CloudEvent", (_AGENTS, _NODES), (_NODES,)),
        subject(
            topology.control_subject("*"),
            topology.control_stream,
            "one control record: cancel, pause, resume, close or budget",
            (_NODES,),
            (_NODES,),
        ),
        *(
            subject(topology.feed_subject(kind, "*"), topology.feed_stream(kind), carries, (_NODES,), ("followers",))
            for kind, carries in feeds
        ),
        subject(
            topology.live_subject("*", "*"), None, "each feed message once it is stored", (_SERVER,), ("followers",)
        ),
        subject(topology.telemetry_subject("*"), None, "how turns and runs go on", (_NODES,), ("people who watch",)),
    ]
