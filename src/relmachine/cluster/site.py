"""What the processes of one cluster share, so that each kind is one function of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.spec import ClusterSpec, ConfigFile, ProcessSpec, Restart
from relmachine.gates.grants import Grants

HOST = "127.0.0.1"

NOT_NEEDED = frozenset({Kind.SCHEDULER})
"""What nothing waits for. Sidecars begin without the scheduler, host actors without it, and find it when it comes."""

Made = tuple[ProcessSpec, Sequence[ConfigFile]]
"""A process, and the files that are to be written before it starts."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the processes of one cluster share: the wish, every port, where the programs are, the logins, and the grants
    when they are not the ones shipped.

    With `own_hosts` every process has a host of its own that has its name, as containers have.
    """

    spec: ClusterSpec
    ports: Mapping[str, Mapping[str, int]]
    programs: Mapping[str, Path]
    logins: Logins
    grants: Grants | None = None
    own_hosts: bool = False

    def host(self, name: str) -> str:
        """What the process listens on, and what others dial."""
        return name if self.own_hosts else HOST

    def address(self, name: str, role: str) -> str:
        """`host:port` of what the process listens on for `role`."""
        return f"{self.host(name)}:{self.ports[name][role]}"

    def http(self, name: str, role: str, path: str = "") -> str:
        """An HTTP address of the process."""
        return f"http://{self.address(name, role)}{path}"

    def names(self, *kinds: Kind) -> tuple[str, ...]:
        """Names of all processes of the kinds."""
        return tuple(name for kind in kinds for name in self.spec.names(kind))

    def restart(self, kind: Kind) -> Restart:
        """A process with a like that goes on may be missed for long, and one that no step needs; without any other,
        the cluster cannot go on.
        """
        may_be_missed = self.spec.count(kind) > 1 or kind in NOT_NEEDED
        return Restart(when_exhausted="degrade" if may_be_missed else "stop")


def number_of(name: str) -> int:
    """The 2 of `nats-2`."""
    return int(name.rpartition("-")[2])
