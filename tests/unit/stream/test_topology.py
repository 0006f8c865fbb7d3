"""Goal: names never collide and say which laws they belong to. Method: names of many machines compared; metadata read
back into Σ and I."""

from __future__ import annotations

import orjson
import pytest
from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.ensure import configurations
from relmachine.stream.topology import FeedKind, Topology, topology

KINDS: tuple[FeedKind, ...] = ("journal", "out", "rejected")


class Note(BaseModel):
    text: str = ""


def plan() -> Plan:
    machine = Machine("permit")
    received = machine.claim("received")
    checked = machine.claim("checked", requires=[received])
    machine.process(name="a", asserts=[received])(Note)
    machine.process(name="b", asserts=[checked])(Note)
    machine.process(name="c")(Note)
    return machine.plan()


def test_no_two_machines_share_a_stream_or_a_subject() -> None:
    machines = ["a", "a_steps", "a_feeds", "a_journal", "steps", "a-b"]
    names: list[str] = []
    for machine in machines:
        place = Topology(machine, {})
        names += [place.steps_stream, place.feed_stream("journal"), place.feed_stream("out")]
        names += [place.step_subject("t", "s"), *(place.feed_subject(kind, "t") for kind in KINDS)]
        names += [place.live_subject(kind, "t") for kind in KINDS]
    assert len(set(names)) == len(names)


def test_metadata_is_sigma_and_independence() -> None:
    the_plan = plan()
    metadata = topology(the_plan).metadata
    assert metadata["laws_digest"] == the_plan.laws_digest
    assert metadata["matrix_digest"] == the_plan.matrix_digest
    steps = orjson.loads(metadata["steps"])
    masks = [int(mask, 16) for mask in orjson.loads(metadata["independence"])]
    independent = {(s, t) for i, s in enumerate(steps) for j, t in enumerate(steps) if masks[i] >> j & 1}
    assert independent == {("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")}


def test_a_machine_name_that_no_subject_can_carry_is_refused() -> None:
    broken = plan()
    object.__setattr__(broken, "machine", "a.b")
    with pytest.raises(RelmError) as refused:
        topology(broken)
    assert refused.value.code is Code.MACHINE_INVALID


def test_the_log_can_not_lose_messages_by_its_settings() -> None:
    for stream in configurations(topology(plan()), StreamBounds()):
        assert stream.deny_delete
        assert stream.deny_purge
        assert (stream.max_msgs, stream.max_bytes, stream.max_age) == (-1, -1, 0)
        assert stream.storage == "file"
        assert stream.allow_direct


def test_consumer_names_carry_no_subject_syntax() -> None:
    assert Topology("m", {}).consumer("a.b c*>") == "relm_a_b_c__"
