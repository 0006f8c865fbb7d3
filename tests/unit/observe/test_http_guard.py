"""Goal: no foreign page can use a visitor's browser against a node. Method: requests as a browser and as programs send
them, to a node on this machine and to one on a network address."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from relmachine.observe.http_guard import BrowserGuard

HERE, THERE = "127.0.0.1:8000", "node.example:8000"


def status(server: str, host: str, origin: str | None) -> tuple[int, str]:
    app = FastAPI()
    app.add_middleware(BrowserGuard)

    @app.post("/threads")
    def reached() -> dict[str, str]:
        return {"code": "reached"}

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{server}") as client:
            headers = {"Host": host, **({} if origin is None else {"Origin": origin})}
            return await client.post("/threads", headers=headers)

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("server", "host", "origin"),
    [
        (HERE, HERE, None),
        (HERE, "localhost:8000", None),
        (HERE, "[::1]:8000", None),
        (HERE, HERE, f"http://{HERE}"),
        (HERE, HERE, "http://localhost:6274"),
        (THERE, THERE, None),
        (THERE, THERE, f"http://{THERE}"),
        (THERE, "alias.example", None),
    ],
)
def test_programs_and_the_nodes_own_pages_pass(server: str, host: str, origin: str | None) -> None:
    assert status(server, host, origin) == (200, "reached")


@pytest.mark.parametrize(
    ("server", "host", "origin"),
    [
        (HERE, HERE, "https://elsewhere.example"),
        (HERE, HERE, "null"),
        (HERE, HERE, "http://[broken"),
        (HERE, HERE, "http://127.0.0.1.elsewhere.example"),
        (HERE, "elsewhere.example:8000", "http://elsewhere.example:8000"),
        (HERE, "elsewhere.example:8000", None),
        (HERE, "127.0.0.1.elsewhere.example", None),
        (HERE, "[broken", None),
        (THERE, THERE, "https://elsewhere.example"),
        (THERE, THERE, "http://localhost:6274"),
    ],
)
def test_foreign_pages_and_rebound_names_do_not(server: str, host: str, origin: str | None) -> None:
    assert status(server, host, origin) == (403, "policy_denied")
