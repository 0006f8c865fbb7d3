"""What a node makes sure of before it works: server, login, account and streams can keep what is promised.

Nothing is made or changed before everything that can be known beforehand is known. Four round trips to the server when
the streams are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nats.errors import Error
from nats.js.errors import APIError, ServiceUnavailableError

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.ensure import make, missing
from relmachine.stream.fit import Unfit, bytes_needed, refuse, unfit_account, unfit_server
from relmachine.stream.rights import REFUSED_BY_THE_STREAM, Right, right_to_make, rights
from relmachine.stream.streams import configurations
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from nats.js.api import AccountInfo, StreamConfig

_NOT_FOR_THE_ACCOUNT = 10039


async def start_up(connection: Connection, topology: Topology, limits: Limits, replicas: int = 1) -> None:
    """Make sure that the streams exist, are as `topology` and the bounds say, and can be worked with.

    Errors: `stream_unfit` for a server, an account or a login that cannot keep what is promised; `topology_mismatch`
    for streams of other laws or with other settings; `unreachable`.
    """
    client, wanted = connection.client, configurations(topology, connection.bounds, replicas)
    metadata = sum(len(key) + len(value) for key, value in topology.metadata.items())
    version = str(connection.greeting.get("version"))
    refuse(unfit_server(version, client.max_payload, bytes_needed(limits, metadata)), url=connection.url)
    await allowed(connection, rights(topology))
    info = await _account(connection)
    to_make = await missing(connection, wanted)
    bounds = connection.bounds
    refuse(
        unfit_account(info, limits, bounds, replicas=replicas, streams_to_make=len(to_make)),
        url=connection.url,
    )
    if to_make:
        await allowed(connection, [right_to_make(stream) for stream in _names(to_make)])
        await make(connection, to_make)


_TOLD = {"publish": "publish", "subscribe": "subscription"}
"""How the server calls what it forbids."""


async def allowed(connection: Connection, needed: Sequence[Right]) -> None:
    """Try every right once. Errors: `stream_unfit` with what is forbidden, `unreachable`."""
    client = connection.client
    connection.forbidden.clear()
    try:
        for right in needed:
            if right.action == "subscribe":
                subscription = await client.subscribe(right.probe)  # pyright: ignore[reportUnknownMemberType]
                await subscription.unsubscribe()
            else:
                await client.publish(right.probe, headers=dict(REFUSED_BY_THE_STREAM))
        await connection.heard()
    except (Error, OSError, TimeoutError) as error:
        raise unreachable(connection.url, error) from error
    told = " ".join(connection.forbidden).lower()
    forbidden = [right for right in needed if f'{_TOLD[right.action]} to "{right.probe}"'.lower() in told]
    if forbidden:
        raise RelmError(
            Code.STREAM_UNFIT,
            "allow the login of the nodes what the witness names: without it a node cannot do its work",
            url=connection.url,
            forbidden=[f"{right.action} {right.subject}: {right.why}" for right in forbidden],
        )


async def _account(connection: Connection) -> AccountInfo:
    try:
        return await connection.jetstream.account_info()
    except ServiceUnavailableError as error:
        if error.err_code == _NOT_FOR_THE_ACCOUNT:
            advice = "enable JetStream for the account of this login (`jetstream: enabled`)"
            refuse([Unfit("jetstream", "enabled", "not enabled for this account", advice)], url=connection.url)
        if error.err_code is None and not connection.greeting.get("jetstream"):
            advice = "start the server with JetStream (`nats-server -js`)"
            refuse([Unfit("jetstream", "enabled", "not enabled for this server", advice)], url=connection.url)
        raise unreachable(connection.url, error) from error
    except (APIError, Error, OSError, TimeoutError) as error:
        raise unreachable(connection.url, error) from error


def _names(streams: Sequence[StreamConfig]) -> list[str]:
    return [stream.name for stream in streams if stream.name is not None]
