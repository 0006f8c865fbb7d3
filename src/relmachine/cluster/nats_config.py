"""The configuration text of one NATS server of a cluster. Pure: the same text serves processes and containers.

Accounts: CORE has the streams and everything on them; PUBLISHERS has no JetStream of its own and reaches one service of
CORE, publishing steps of one machine, so that a user of it can neither read what others publish nor ask or change
anything about streams; SYSTEM sees the servers' own events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from relmachine.cluster.logins import Login, Logins
from relmachine.stream.bounds import MIB


@dataclass(frozen=True, slots=True)
class NatsMember:
    """One server as the others and its clients see it. `host` is what it listens on and what others dial."""

    name: str
    host: str
    client_port: int
    monitor_port: int
    route_port: int


@dataclass(frozen=True, slots=True)
class NatsLimits:
    """What a server may take, in bytes."""

    message_bytes_max: int = MIB
    store_bytes_max: int = 64 * 1024 * MIB


def nats_config(
    member: NatsMember,
    members: Sequence[NatsMember],
    machine: str,
    logins: Logins,
    store_dir: str,
    sync: Literal["default", "always"] = "default",
    limits: NatsLimits | None = None,
) -> str:
    """Configuration of `member`, one of `members`, for the steps of `machine`."""
    bounds = limits or NatsLimits()
    sync_line = "  sync_interval: always\n" if sync == "always" else ""
    return (
        f"server_name: {member.name}\n"
        f"listen: {member.host}:{member.client_port}\n"
        f"http: {member.host}:{member.monitor_port}\n"
        f"max_payload: {bounds.message_bytes_max}\n"
        "jetstream {\n"
        f'  store_dir: "{store_dir}"\n'
        f"  max_file_store: {bounds.store_bytes_max}\n"
        f"{sync_line}"
        "}\n"
        f"{_cluster(member, members, logins.route)}"
        f"{_accounts(machine, logins)}"
    )


def _cluster(member: NatsMember, members: Sequence[NatsMember], route: Login) -> str:
    others = [other for other in members if other.name != member.name]
    if not others:
        return ""
    routes = "".join(f'    "{route.url("nats-route", other.host, other.route_port)}"\n' for other in others)
    return (
        "cluster {\n"
        "  name: relm\n"
        f"  listen: {member.host}:{member.route_port}\n"
        f'  authorization {{ user: {route.user}, password: "{route.password}" }}\n'
        "  no_advertise: true\n"  # clients know every server; to one that they were told of, nats-py brings no login
        f"  routes [\n{routes}  ]\n"
        "}\n"
    )


def _accounts(machine: str, logins: Logins) -> str:
    steps = f'"relm.{machine}.step.>"'
    return (
        "accounts {\n"
        "  CORE {\n"
        "    jetstream: enabled\n"
        f"    users [ {{ {_user(logins.core)} }} ]\n"
        f"    exports [ {{ service: {steps} }} ]\n"
        "  }\n"
        "  PUBLISHERS {\n"
        f"    users [ {{ {_user(logins.publisher)}, permissions: {{\n"
        f'      publish: {{ allow: [{steps}] }}, subscribe: {{ allow: ["_INBOX.>"] }}\n'
        "    } } ]\n"
        f"    imports [ {{ service: {{ account: CORE, subject: {steps} }} }} ]\n"
        "  }\n"
        f"  SYSTEM {{ users [ {{ {_user(logins.system)} }} ] }}\n"
        "}\n"
        "system_account: SYSTEM\n"
    )


def _user(login: Login) -> str:
    return f'user: {login.user}, password: "{login.password}"'
