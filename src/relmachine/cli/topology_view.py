"""What `relm check --topology` prints, and the settings it is printed for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from relmachine.cli.output import cell, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from relmachine.machine.plan import Plan
    from relmachine.node.settings import Settings
    from relmachine.stream.accounts import Account
    from relmachine.stream.description import Consumer, Description, Stream, Subject


def described(plan: Plan, machine: str, nodes: int | None) -> Description:
    """The topology of `plan`, whose machine is in the file `machine`: as a node makes it with the RELM_ variables that
    are set, or one of `relm up --nodes N`.
    """
    from relmachine.cli.serving import settings
    from relmachine.node.sharing import stream_bounds
    from relmachine.stream.description import describe
    from relmachine.stream.topology import topology

    made = settings() if nodes is None else _of_a_cluster(plan.machine, machine, nodes)
    return describe(topology(plan), made.limits, stream_bounds(made), made.replicas)


def _of_a_cluster(machine: str, path: str, nodes: int) -> Settings:
    """Of what the plan of `relm up` tells a node, the part that its streams follow from."""
    from relmachine.cli.serving import settings
    from relmachine.cluster.containers import container_plan, container_spec
    from relmachine.cluster.kind import Kind
    from relmachine.cluster.logins import Logins

    plan = container_plan(container_spec(machine, Path(path).name, nodes), Logins())
    told = next(process.environment for process in plan.processes if process.kind == Kind.NODE)
    stores = tuple(process.address for process in plan.processes if process.kind == Kind.RQLITE)
    return settings(replicas=told["RELM_REPLICAS"], store_urls=stores)


def print_topology(console: Console, found: Description) -> None:
    """Tables for people."""
    from relmachine.stream.consumers import PROMISED as OF_CONSUMERS
    from relmachine.stream.consumers import TUNED
    from relmachine.stream.streams import PROMISED as OF_STREAMS

    console.print(_settings("Streams", found.streams, OF_STREAMS))
    metadata = table("metadata", "of every stream", title="Metadata")
    for name, value in found.streams[0].metadata.items():
        metadata.add_row(name, cell(value))
    console.print(metadata)
    console.print(_subjects(found.subjects))
    console.print(_settings("Consumer of each store", found.consumers, {**OF_CONSUMERS, **TUNED}))
    console.print(_accounts(found.accounts))
    rights = table("action", "subject", "because a node", title="What the login of a node must be allowed")
    for right in found.node_rights:
        rights.add_row(right.action, cell(right.subject), right.why)
    console.print(rights)


def _settings(title: str, items: Sequence[Stream | Consumer], why: Mapping[str, str]) -> Table:
    """One row a setting, one column a stream or consumer."""
    made = table("setting", *(item.name for item in items), "so that", title=title)
    for name, reason in why.items():
        values = [" ".join(item.subjects) if name == "subjects" else _said(item.settings[name]) for item in items]
        made.add_row(name, *map(cell, values), reason)
    return made


def _said(value: object) -> str:
    """A setting in a word."""
    words = {"False": "no", "True": "yes", "-1": "no limit"}
    return value if isinstance(value, str) else words.get(str(value)) or json.dumps(value)


def _subjects(subjects: Sequence[Subject]) -> Table:
    made = table("subject", "carries", "published by", "read by", "may publish", "may hear", title="Subjects")
    for item in subjects:
        who = [item.published_by, item.read_by, item.accounts_that_may_publish, item.accounts_that_may_hear]
        made.add_row(cell(item.subject), item.carries, *(cell(", ".join(names)) for names in who))
    return made


def _accounts(accounts: Sequence[Account]) -> Table:
    columns = ("account", "login", "for", "JetStream", "publishes", "but not", "hears", "exports", "imports")
    made = table(*columns, title="Accounts of a server that untrusted publishers reach (relm up)")
    for item in accounts:
        lists = [_all_or(item.publish), " ".join(item.publish_denied), _all_or(item.subscribe)]
        lists += [" ".join(subject for subject, _ in pairs) for pairs in (item.exports, item.imports)]
        jetstream = "yes" if item.jetstream else "no"
        made.add_row(item.name, item.login, item.who, jetstream, *map(cell, lists))
    return made


def _all_or(subjects: Sequence[str] | None) -> str:
    return "everything there" if subjects is None else " ".join(subjects)
