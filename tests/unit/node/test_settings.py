"""Goal: settings read the same from code, options and variables. Method: the same addresses given in each way."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from relmachine.node.settings import Settings

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
