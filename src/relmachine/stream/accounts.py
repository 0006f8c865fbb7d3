"""Who may do what on a NATS server that untrusted publishers share with the nodes of a machine. Pure.

Each account is a world of its own: what is published in one is heard in another only through an import of what that one
exports. The streams live in `CORE`. `PUBLISHERS` has no JetStream, and reaches one service of `CORE`: the subjects of
steps. So its users can neither read what others publish nor ask or change anything about streams, whatever they send.
Control records are for nodes to publish, for those whom they let: a merge closes a thread for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from relmachine.kernel.control import RECORDS
from relmachine.stream.topology import Topology

LoginName = Literal["core", "publisher", "system"]

INBOXES = "_INBOX.>"
"""Where answers to requests come."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account with its one login. `publish` and `subscribe` are all that the login may do, but for `publish_denied`;
    None is everything that its account reaches. `exports` are subjects that `to` may import, `imports` subjects of
    another account.
    """

    name: str
    login: LoginName
    who: str
    jetstream: bool = False
    system: bool = False
    publish: tuple[str, ...] | None = None
    subscribe: tuple[str, ...] | None = None
    publish_denied: tuple[str, ...] = ()
    exports: tuple[tuple[str, str], ...] = ()
    """(subject, account that may import it)"""
    imports: tuple[tuple[str, str], ...] = ()
    """(subject, account that exports it)"""

    def may_publish(self, subject: str) -> bool:
        """Whether what it publishes on `subject`, one of the machine's patterns, reaches the streams' account."""
        reaches = self.jetstream or any(subject == imported for imported, _ in self.imports)
        return reaches and (self.publish is None or subject in self.publish)

    def may_hear(self, subject: str) -> bool:
        """Whether it hears what is published on `subject`, one of the machine's patterns, in the streams' account."""
        return self.jetstream and (self.subscribe is None or subject in self.subscribe)


def accounts(topology: Topology) -> Sequence[Account]:
    """The accounts of a server for the machine of `topology`."""
    steps = topology.steps_subjects
    return (
        Account(
            name="CORE",
            login="core",
            who="nodes, and whoever follows feeds",
            jetstream=True,
            exports=((steps, "PUBLISHERS"),),
        ),
        Account(
            name="PUBLISHERS",
            login="publisher",
            who="agents that nobody trusts",
            publish=(steps,),
            publish_denied=tuple(topology.step_subject("*", token) for token in RECORDS),
            subscribe=(INBOXES,),
            imports=((steps, "CORE"),),
        ),
        Account(name="SYSTEM", login="system", who="people who look at the servers", system=True),
    )
