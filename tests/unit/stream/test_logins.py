"""Goal: a login in an address is used and never shown. Method: addresses of every form, and an error about one."""

from __future__ import annotations

import asyncio

import pytest

from relmachine.errors import RelmError
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.connection import without_logins


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("nats://core:s3cret@host:1", "nats://host:1"),
        ("nats://a:s3cret@h:1,nats://a:s3cret@i:2", "nats://h:1,nats://i:2"),
        ("core:s3cret@host:1, core:s3cret@other", "host:1, other"),
        ("nats://token-s3cret@host", "nats://host"),
        ("nats://host:1,tls://other", "nats://host:1,tls://other"),
    ],
)
def test_logins_are_not_shown(address: str, shown: str) -> None:
    assert without_logins(address) == shown


@pytest.mark.parametrize(
    "address", ["nats://core:s3cret@127.0.0.1:1", "http://core:s3cret@127.0.0.1:1", "nats://core:s3cret@h:port"]
)
def test_an_error_shows_no_login(address: str) -> None:
    with pytest.raises(RelmError) as caught:
        asyncio.run(connect(address, name="test", bounds=StreamBounds(connect_seconds_max=0.3)))
    assert "s3cret" not in f"{caught.value} {caught.value.witness}"
