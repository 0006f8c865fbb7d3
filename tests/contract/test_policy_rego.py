"""Goal: the policy in process keeps the policy contract. Method: the contract class on regopy."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from relmachine.gates import policy as policy_module
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.grants import Grants
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.port import PolicyGate
from tests.contract.policy_contract import PolicyContract


class TestRegoPolicy(PolicyContract):
    """The policy in process."""

    @asynccontextmanager
    async def opened(
        self, grants: Grants | None = None, meter: RateMeter | None = None, bounds: SizeBounds | None = None
    ) -> AsyncGenerator[PolicyGate]:
        yield RegoPolicy("permit", grants, meter, bounds)

    @asynccontextmanager
    async def opened_undefined(self) -> AsyncGenerator[PolicyGate]:
        with pytest.MonkeyPatch.context() as patched:
            policy = RegoPolicy("permit")
            patched.setattr(policy_module, "ENTRYPOINT", "relmachine/steps/nothing")
            yield policy
