"""The servers of a cluster, one function for each kind: command, files, address, readiness. Pure."""

from __future__ import annotations

import json

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Login
from relmachine.cluster.nats_config import NatsMember, nats_config
from relmachine.cluster.site import Made, Site
from relmachine.cluster.spec import ConfigFile, ProcessSpec
from relmachine.gates.opa_server import bundle_files, opa_command, opa_config


def nats(site: Site, name: str) -> Made:
    """A NATS server with JetStream, ready once the servers agree on a leader of their metadata."""
    spec, folder = site.spec, site.spec.folder(name)
    members = [_nats_member(site, other) for other in site.names(Kind.NATS)]
    me = next(member for member in members if member.name == name)
    config = folder / "nats.conf"
    text = nats_config(me, members, spec.machine, site.logins, str(folder / "data"), spec.sync)
    process = ProcessSpec(
        name=name,
        kind=Kind.NATS,
        command=[str(site.programs["nats-server"]), "-c", str(config)],
        folder=folder,
        ready=[site.http(name, "monitor", "/healthz?js-meta-only=true")],
        address=f"nats://{site.address(name, 'client')}",
        ports=site.ports[name],
        restart=site.restart(Kind.NATS),
    )
    return process, [ConfigFile(config, text, mode=0o600)]


def _nats_member(site: Site, name: str) -> NatsMember:
    ports = site.ports[name]
    return NatsMember(name, site.host(name), ports["client"], ports["monitor"], ports["route"])


def rqlite(site: Site, name: str) -> Made:
    """An rqlite server with foreign keys, closed to whoever has no login. The Raft time-outs give a new leader in
    0.4 to 0.7 s instead of 1.7.
    """
    folder, login = site.spec.folder(name), site.logins.store
    users = folder / "users.json"
    peers = [site.address(other, "raft") for other in site.names(Kind.RQLITE)]
    joining = ["-bootstrap-expect", str(len(peers)), "-join", ",".join(peers)] if len(peers) > 1 else []
    timing = ["-raft-timeout", "250ms", "-raft-election-timeout", "250ms", "-raft-leader-lease-timeout", "200ms"]
    process = ProcessSpec(
        name=name,
        kind=Kind.RQLITE,
        command=[
            *(str(site.programs["rqlited"]), "-node-id", name, "-fk"),
            *("-auth", str(users), "-join-as", login.user),
            *("-http-addr", site.address(name, "http"), "-raft-addr", site.address(name, "raft")),
            *timing,
            *joining,
            str(folder / "data"),
        ],
        folder=folder,
        ready=[site.http(name, "http", "/readyz")],
        address=site.http(name, "http"),
        ports=site.ports[name],
        restart=site.restart(Kind.RQLITE),
    )
    return process, [ConfigFile(users, rqlite_users(login), mode=0o600)]


def rqlite_users(login: Login) -> str:
    """Who may do what on an rqlite server: the login everything; anybody else, who is `*`, may ask whether it is ready.

    It compares passwords as they are, at each request. Source: package auth of rqlite 8.
    """
    everything = {"username": login.user, "password": login.password, "perms": ["all"]}
    return json.dumps([everything, {"username": "*", "perms": ["ready"]}])


def opa(site: Site, name: str) -> Made:
    """The policy server of one node, on the bundle whose revision is part of the node's plan."""
    folder = site.spec.folder(name)
    bundle, config = folder / "bundle", folder / "config.yaml"
    program = str(site.programs["opa"])
    process = ProcessSpec(
        name=name,
        kind=Kind.OPA,
        command=opa_command(program, str(bundle), site.ports[name]["http"], str(config), site.host(name)),
        folder=folder,
        ready=[site.http(name, "http", "/health?bundles")],
        address=site.http(name, "http"),
        ports=site.ports[name],
        restart=site.restart(Kind.OPA),
    )
    files = [ConfigFile(bundle / file, text) for file, text in bundle_files(site.grants).items()]
    return process, [*files, ConfigFile(config, opa_config(site.spec.machine))]
