"""What a node's login must be allowed, and how that is found out without harm. Pure.

The server answers a forbidden request with silence and an error line. So a node tries everything once when it starts:
each right has a subject on which nothing can come of a message, or, where messages are stored, a message that the
stream refuses by its header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from relmachine.stream.accounts import INBOXES
from relmachine.stream.topology import FeedKind, Topology

PROBE = "relm_probe"
"""Token in the place of every wildcard."""

REFUSED_BY_THE_STREAM: Mapping[str, str] = {"Nats-Expected-Stream": PROBE}
"""With this header a stream stores nothing: it is not the one that is meant."""

FEEDS: tuple[FeedKind, ...] = ("journal", "out", "rejected", "effect")


@dataclass(frozen=True, slots=True)
class Right:
    """`subject` is the pattern that must be allowed, `why` what the node does with it."""

    action: Literal["publish", "subscribe"]
    subject: str
    why: str

    @property
    def probe(self) -> str:
        """A subject within the pattern for a trial. Subscribing is tried with the pattern: it takes nothing away."""
        if self.action == "subscribe":
            return self.subject
        return self.subject.replace("*", PROBE).replace(">", PROBE)


def rights(topology: Topology) -> Sequence[Right]:
    """What every start and the work after it need."""
    steps, streams = topology.steps_stream, topology.streams
    consumer = {
        "INFO": "finds its consumer",
        "DURABLE.CREATE": "makes its consumer",
        "DELETE": "makes its consumer anew",
        "MSG.NEXT": "asks for hints",
    }
    return (
        Right("subscribe", INBOXES, "hears answers"),
        Right("subscribe", topology.live_subject("*", "*"), "hears what is stored on feeds"),
        Right("publish", "$JS.API.INFO", "reads the account's limits"),
        *(Right("publish", f"$JS.API.STREAM.INFO.{name}", "checks the stream's settings") for name in streams),
        *(Right("publish", f"$JS.API.DIRECT.GET.{name}", "reads messages") for name in streams),
        Right("publish", f"$JS.API.STREAM.MSG.GET.{steps}", "reads at the leader what a replica does not have yet"),
        *(
            Right("publish", f"$JS.API.CONSUMER.{verb}.{stream}.*", why)
            for stream in (steps, topology.control_stream)
            for verb, why in consumer.items()
        ),
        Right("publish", "$JS.ACK.>", "says which hints are done"),
        Right("publish", topology.steps_subjects, "publishes steps for its clients"),
        Right("publish", topology.control_subject("*"), "tells threads what its clients ask for"),
        *(Right("publish", topology.feed_subject(kind, "*"), "writes the feed") for kind in FEEDS),
        Right("publish", topology.telemetry_subject("*"), "tells how turns and runs go on"),
        Right("subscribe", topology.runs_subject, "hears who asks which runs it has in hand"),
        Right("publish", topology.runs_subject, "asks which runs others have in hand"),
        Right("publish", INBOXES, "says which runs it has in hand"),
    )


def right_to_make(stream: str) -> Right:
    """What is needed besides, once, by whoever makes the stream."""
    return Right("publish", f"$JS.API.STREAM.CREATE.{stream}", "makes the stream")
