"""The configuration text of one NATS server of a cluster. Pure: the same text serves processes and containers.

Who may do what is `stream.accounts`, which `relm check --topology` prints as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from relmachine.cluster.logins import Login, Logins
from relmachine.stream.accounts import Account, accounts
from relmachine.stream.bounds import MIB
from relmachine.stream.topology import Topology


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
    """What a server may take. Bytes, counts and seconds as the names say.

    Whoever may publish may begin batches and never end them; a stream with `open_batches_max` of them takes no other.
    So there may be many, and one that stands still for `open_batch_seconds_max` is dropped.
    """

    message_bytes_max: int = MIB
    store_bytes_max: int = 64 * 1024 * MIB
    open_batches_max: int = 500
    open_batch_seconds_max: int = 1


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
        f"  limits {{ batch {{ max_inflight_per_stream: {bounds.open_batches_max},"
        f' timeout: "{bounds.open_batch_seconds_max}s" }} }}\n'
        f"{sync_line}"
        "}\n"
        f"{_cluster(member, members, logins.route)}"
        f"{_accounts(accounts(Topology(machine, {})), logins)}"
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


def _accounts(shared: Sequence[Account], logins: Logins) -> str:
    texts = "".join(_account(account, logins.of(account.login)) for account in shared)
    system = "".join(f"system_account: {account.name}\n" for account in shared if account.system)
    return f"accounts {{\n{texts}}}\n{system}"


def _account(account: Account, login: Login) -> str:
    lists = {
        "users": [f'{{ user: {login.user}, password: "{login.password}"{_permissions(account)} }}'],
        "exports": [f'{{ service: "{subject}", accounts: [{to}] }}' for subject, to in account.exports],
        "imports": [f'{{ service: {{ account: {of}, subject: "{subject}" }} }}' for subject, of in account.imports],
    }
    jetstream = "    jetstream: enabled\n" if account.jetstream else ""
    body = "".join(f"    {name} [ {', '.join(items)} ]\n" for name, items in lists.items() if items)
    return f"  {account.name} {{\n{jetstream}{body}  }}\n"


def _permissions(account: Account) -> str:
    """What the login is held to; nothing where it may do all that its account reaches."""
    held = {"publish": account.publish, "subscribe": account.subscribe}
    denied = f", deny: [{_quoted(account.publish_denied)}]" if account.publish_denied else ""
    parts = ", ".join(
        f"{action}: {{ allow: [{_quoted(subjects)}]{denied if action == 'publish' else ''} }}"
        for action, subjects in held.items()
        if subjects is not None
    )
    return f", permissions: {{ {parts} }}" if parts else ""


def _quoted(subjects: Sequence[str]) -> str:
    return ", ".join(f'"{subject}"' for subject in subjects)
