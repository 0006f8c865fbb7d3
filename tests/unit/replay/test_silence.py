"""Goal: a replay tells nobody. Method: whoever could publish, emit telemetry or carry runs out cannot be made, gate 2
neither, no socket can be opened, and the stages that the replay works with are looked at.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from relmachine import Replayer
from relmachine.gates.policy import RegoPolicy
from relmachine.hosts.assembly import assemble
from relmachine.hosts.relay import Relay
from relmachine.hosts.runner import Runner
from relmachine.hosts.stages import Stages
from relmachine.hosts.telemetry import Telemetry
from relmachine.replay import deciding
from relmachine.replay.silent import NoRelay, Permitted
from relmachine.stream.publisher import NatsPublisher
from tests.unit.replay.edits import thread_of
from tests.unit.replay.triage import triage


def test_a_replay_publishes_nothing_and_emits_no_telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = thread_of(triage(), tmp_path)
    made: list[Stages] = []

    def watched(*given: Any, **named: Any) -> Stages:
        made.append(assemble(*given, **named))
        return made[-1]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a replay has none of these")

    for kind in (Relay, Runner, Telemetry, NatsPublisher, RegoPolicy):
        monkeypatch.setattr(kind, "__init__", never)
    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(deciding, "assemble", watched)
    found = asyncio.run(Replayer(triage()).replay(export))
    assert found.identical, found.differences
    (stages,) = made
    assert (stages.telemetry, stages.runner) == (None, None)
    assert isinstance(stages.relay, NoRelay)
    assert isinstance(stages.policy, Permitted)
    assert not hasattr(stages.reader, "publish")
