"""Goal: turns of a paused thread are not taken, their hints stay away, and it goes on when it is told. Method: states
and effects by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relmachine.hosts.pauses import PAUSED_SECONDS, Pauses
from relmachine.kernel.lane import Effect
from relmachine.kernel.state import initial_state
from tests.contract.store_turns import desk


def effect(record: str, outcome: str = "applied") -> Effect:
    return Effect("a", 1, record, "", 0, "", 0, "{}", "{}", outcome, "")


@pytest.mark.parametrize(("record", "turn"), [("resume", True), ("cancel", False), ("close", False)])
def test_a_thread_without_hints_that_stay_away_needs_no_turn_when_it_is_stopped(record: str, turn: bool) -> None:
    """Another node may have those of a thread that is resumed."""
    assert Pauses().heard(effect(record)) is turn


def test_a_paused_thread_is_left_out_and_rests() -> None:
    awake, paused = (initial_state(desk(), name) for name in "ba")
    pauses = Pauses()
    states = {"b": awake, "a": replace(paused, paused=True)}
    assert pauses.awake(states) == {"b": awake}
    assert (pauses.seconds("a"), pauses.seconds("b")) == (PAUSED_SECONDS, 0.0)


def test_what_ends_a_pause_lets_the_thread_go_on() -> None:
    for record in ("resume", "cancel", "close"):
        pauses = Pauses()
        assert not pauses.heard(effect("pause"))
        assert pauses.seconds("a") == PAUSED_SECONDS
        assert not pauses.heard(effect(record, "unchanged"))
        assert pauses.heard(effect(record))
        assert pauses.seconds("a") == 0.0


def test_a_pause_that_changed_nothing_is_none() -> None:
    pauses = Pauses()
    pauses.heard(effect("pause", "refused"))
    assert len(pauses) == 0


def test_a_thread_that_is_seen_awake_rests_no_more() -> None:
    """Whatever was heard, and when: a round that began before the resume notes the thread after it was heard."""
    state = initial_state(desk(), "a")
    pauses = Pauses()
    pauses.heard(effect("resume"))
    pauses.awake({"a": replace(state, paused=True)})
    assert pauses.awake({"a": state}) == {"a": state}
    assert (pauses.seconds("a"), len(pauses)) == (0.0, 0)
