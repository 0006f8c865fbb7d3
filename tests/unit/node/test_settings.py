"""Goal: settings read the same from code, options and variables, and reach the part that they are for. Method: the same
values given in each way; parts opened with them."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from relmachine.errors import Code, RelmError
from relmachine.node.settings import Settings
from relmachine.node.sharing import stream_bounds
from relmachine.node.store_opening import open_store
from relmachine.stream.bounds import ACK_WAIT_SECONDS, SHARED_ACK_WAIT_SECONDS
from tests.contract.stream_contract import plan_of

ADDRESSES = ("nats://a:4222", "nats://b:4222", "nats://c:4222")


def test_addresses_are_given_as_a_list_or_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().nats_urls == ()
    assert Settings(nats_urls=ADDRESSES).nats_urls == ADDRESSES
    assert Settings.model_validate({"nats_urls": " , ".join(ADDRESSES)}).nats_urls == ADDRESSES
    monkeypatch.setenv("RELM_NATS_URLS", ",".join(ADDRESSES))
    monkeypatch.setenv("RELM_REPLICAS", "3")
    assert (Settings().nats_urls, Settings().replicas) == (ADDRESSES, 3)


@pytest.mark.parametrize("replicas", [0, 6])
def test_replicas_are_one_to_five(replicas: int) -> None:
    with pytest.raises(ValidationError):
        Settings(replicas=replicas)


def test_a_sidecar_must_know_where_to_call_back() -> None:
    with pytest.raises(ValidationError, match="dapr_listen"):
        Settings(dapr_address="127.0.0.1:3500")
    assert Settings(dapr_address="127.0.0.1:3500", dapr_listen="127.0.0.1:3501").dapr_listen == "127.0.0.1:3501"


@pytest.mark.parametrize("named", [None, '{"dedupe_window_seconds": 7}'])
def test_another_bound_of_the_stream_leaves_the_wait_for_acknowledgements(
    monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    if named is not None:
        monkeypatch.setenv("RELM_STREAM_BOUNDS", named)
    assert stream_bounds(Settings()).ack_wait_seconds == ACK_WAIT_SECONDS
    shared = Settings(store_urls=("http://a:4001",))
    assert stream_bounds(shared).ack_wait_seconds == SHARED_ACK_WAIT_SECONDS
    monkeypatch.setenv("RELM_STREAM_BOUNDS", '{"ack_wait_seconds": 3}')
    assert stream_bounds(Settings(store_urls=("http://a:4001",))).ack_wait_seconds == 3


def test_bounds_of_the_replicated_store_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server listens there: the error names how long the store was tried for."""
    monkeypatch.setenv("RELM_RQLITE_BOUNDS", '{"retry_seconds_max": 0.05, "connect_seconds_max": 0.05}')
    made = Settings(store_urls=("http://127.0.0.1:1",))
    with pytest.raises(RelmError) as refused:
        asyncio.run(asyncio.wait_for(open_store(made, plan_of("m")), 10))
    assert (refused.value.code, refused.value.witness["retry_seconds_max"]) == (Code.UNREACHABLE, 0.05)
