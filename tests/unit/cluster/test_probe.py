"""Goal: readiness is what an address answers. Method: ask small servers, files and addresses where nobody is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relmachine.cluster import probe


async def _asked(answer: bytes | None, path: str = "/healthz?deep=1") -> tuple[bool, bytes]:
    """What the probe says of an HTTP server that answers `answer` (None: never), and what it was asked."""
    heard = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.readline()
        if answer is not None:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await probe.answers([f"http://127.0.0.1:{port}{path}"]), heard


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 301 Moved\r\n\r\n", False),
        (b"INFO {}\r\n", False),
        (b"", False),
    ],
)
def test_http_is_ready_with_a_status_of_success(answer: bytes, ready: bool) -> None:
    said, heard = asyncio.run(_asked(answer))
    assert said is ready
    assert heard == b"GET /healthz?deep=1 HTTP/1.1\r\n"


def test_a_server_that_does_not_answer_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBE_SECONDS_MAX", 0.1)
    assert asyncio.run(_asked(None))[0] is False


def test_tcp_is_ready_when_somebody_listens() -> None:
    async def look() -> tuple[bool, bool]:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            there = await probe.answers([address])
        return there, await probe.answers([address])

    assert asyncio.run(look()) == (True, False)


def test_files_all_of_them_and_forgotten_before_the_next_start(tmp_path: Path) -> None:
    first, second = tmp_path / "first sign", tmp_path / "second"
    addresses = [first.as_uri(), second.as_uri()]
    first.touch()
    assert asyncio.run(probe.answers(addresses)) is False
    second.touch()
    assert asyncio.run(probe.answers(addresses)) is True
    probe.forget(addresses)
    assert not first.exists() and not second.exists()


def test_an_address_that_nobody_understands_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="gopher"):
        asyncio.run(probe.answers(["gopher://127.0.0.1:70"]))
