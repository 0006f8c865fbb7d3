"""Goal: checkpoints on replicated servers keep the contract. Method: the contract on a real server."""

from __future__ import annotations

from uuid import uuid4

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from relmachine.checkpoints import Saver
from relmachine.errors import Code, RelmError
from tests.contract.checkpoint_contract import CheckpointContract, of
from tests.contract.rqlite_servers import RqliteServers

pytestmark = pytest.mark.process


class TestRqlite(CheckpointContract):
    @pytest.fixture(autouse=True)
    def server(self, one_rqlite: RqliteServers) -> None:
        self.urls = ",".join(one_rqlite.urls)

    def saver(self) -> Saver:
        return Saver.rqlite(self.urls)

    def test_a_state_that_no_request_holds_is_refused_and_nothing_is_stored(self) -> None:
        checkpoint, thread = empty_checkpoint(), of(uuid4().hex)
        checkpoint["channel_values"] = {"a": "x" * 5_000_000}
        checkpoint["channel_versions"] = {"a": "1"}
        with self.saver() as saver:
            with pytest.raises(RelmError) as refused:
                saver.put(thread, checkpoint, {}, {"a": "1"})
            assert refused.value.code is Code.LIMIT_EXCEEDED
            assert refused.value.witness["request_bytes_max"] == 4 * 1024 * 1024
            assert saver.get_tuple(thread) is None
