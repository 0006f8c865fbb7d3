"""Goal: two variables put a real model in the place of the offline one. Method: the triage example on a node that its
environment sets, against a server of the chat completions form that plays a script."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic_ai.models import override_allow_model_requests

from relmachine.node import Node, Settings
from relmachine.store import reading
from relmachine.store.runs import Runs
from relmachine.store.verify import verify
from tests.triage import DISK_FULL, Counted, Data, standings, work
from tests.unit.engine.models.scripted_server import called, serving

pytestmark = pytest.mark.process


@pytest.mark.parametrize("key", ["the-key", None])
def test_two_variables_switch_to_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    offline = Counted()

    async def ask() -> None:
        answer = called("final_result", '{"cause": "disk_full"}')
        async with serving(called("service_facts", '{"service": "checkout"}'), answer) as server:
            monkeypatch.setenv("RELM_MODEL", "openai:local")
            monkeypatch.setenv("RELM_MODEL_BASE_URL", server.url)
            if key is not None:
                monkeypatch.setenv("RELM_MODEL_API_KEY", key)
            async with Node.running(offline.machine, Settings(data_dir=tmp_path, http=False)) as node:
                steps: list[tuple[str, Data]] = [
                    ("observe", DISK_FULL[0]),
                    ("measure", DISK_FULL[1]),
                    ("hypothesise", {}),
                ]
                await work(node, "incident", steps, "hypothesise")
                await work(node, "incident", [("verify", {})], "verify")
                found = await standings(node, "incident")
                assert (found["cause_proposed"], found["cause_confirmed"]) == ("effective", "settled")
                (frozen,) = (await node.store.select("SELECT frozen_digest FROM runs WHERE step = 'hypothesise'")).rows
                assert '"openai:local"' in await Runs(node.store.deciding).frozen(str(frozen[0]))
                assert (await reading.section(node.store, "incident")).fields["causes"] == ["disk_full"]
                assert (await verify(node.store)).ok
            assert server.asked[0]["model"] == "local"
            names = {tool["function"]["name"] for tool in server.asked[0]["tools"]}
            assert names == {"service_facts", "parse_log_line", "settled", "publish", "final_result"}
            assert "team-orders" in str(server.asked[1]["messages"]), "the tool's answer went to the model"
            assert {head["Authorization"] for head in server.headers} == {f"Bearer {key or 'none'}"}

    with override_allow_model_requests(True):
        asyncio.run(ask())
    assert offline.asked == [], "the offline model was not asked"
