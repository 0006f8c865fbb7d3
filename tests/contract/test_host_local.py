"""Goal: the host in this process keeps the host contract. Method: the contract class."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from relmachine.hosts.local import LocalHost
from relmachine.hosts.port import Host
from relmachine.kernel.limits import Limits
from tests.contract.host_contract import HostContract
from tests.contract.host_rounds import ScriptedRounds


class TestLocalHost(HostContract):
    @asynccontextmanager
    async def host(self, rounds: ScriptedRounds) -> AsyncGenerator[Host]:
        host = LocalHost(rounds, Limits())
        yield host
        await host.close()
