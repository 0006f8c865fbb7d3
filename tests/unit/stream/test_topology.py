"""Goal: names never collide and say which laws they belong to. Method: names of many machines compared, and metadata
with the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nats.js.api import ConsumerConfig, PersistMode, StreamConfig, StreamConsumerLimits
from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.stream import consumers, streams
from relmachine.stream.bounds import StreamBounds
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
        names += [place.telemetry_subject("t"), place.runs_subject]
    assert len(set(names)) == len(names)


def test_metadata_is_the_identity_of_the_laws_with_sigma_and_dependence() -> None:
    the_plan = plan()
    assert topology(the_plan).metadata == {
        "machine": "permit",
        "laws_digest": the_plan.laws_digest,
        "matrix_digest": the_plan.matrix_digest,
        "matrix_form": "plain",
        "steps": "a b c",
        "dependence": "0 1 0",
    }


def test_a_machine_name_that_no_subject_can_carry_is_refused() -> None:
    broken = plan()
    object.__setattr__(broken, "machine", "a.b")
    with pytest.raises(RelmError) as refused:
        topology(broken)
    assert refused.value.code is Code.MACHINE_INVALID


def test_the_log_can_not_lose_messages_by_its_settings() -> None:
    for stream in streams.configurations(topology(plan()), StreamBounds()):
        assert stream.deny_delete
        assert stream.deny_purge
        assert (stream.max_msgs, stream.max_bytes, stream.max_age) == (-1, -1, 0)
        assert stream.storage == "file"
        assert stream.allow_direct


def test_consumer_names_carry_no_subject_syntax() -> None:
    assert Topology("m", {}).consumer("a.b c*>") == "relm_a_b_c__"


def test_every_setting_that_is_checked_has_its_reason_and_is_one_of_the_server() -> None:
    stream, consumer = StreamConfig(), ConsumerConfig()
    assert all(hasattr(stream, name) and why for name, why in streams.PROMISED.items())
    assert all(hasattr(consumer, name) and why for name, why in {**consumers.PROMISED, **consumers.TUNED}.items())
    for wanted in streams.configurations(topology(plan()), StreamBounds()):
        asked = {name for name, value in wanted.as_dict().items() if value}
        assert asked <= {*streams.PROMISED, "name", "metadata"}, "asked for and never looked at again"


def test_what_a_server_writes_otherwise_is_no_drift() -> None:
    (wanted, *_) = streams.configurations(topology(plan()), StreamBounds())
    same = replace(
        wanted, max_age=0.0, sealed=False, no_ack=False, consumer_limits=StreamConsumerLimits(), sources=[], mirror=None
    )
    assert streams.drift(wanted, replace(same, persist_mode=PersistMode.DEFAULT)) == {}
    assert set(streams.drift(wanted, replace(same, persist_mode=PersistMode.ASYNC, max_age=1.0))) == {
        "persist_mode",
        "max_age",
    }
