"""Goal: whatever was changed in an export, or in the machine, shows first where it was changed. Method: one thread that
lived for real, one edit at a time, and the first difference that its playback finds.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from relmachine import Machine, Replayer, ThreadExport
from relmachine.engine.runs.decisions import seal_of
from relmachine.engine.runs.port import Mode
from relmachine.errors import RelmError
from relmachine.kernel.answer import Decision
from relmachine.replay.difference import Difference, Replay
from tests.unit.replay import edits
from tests.unit.replay.edits import THREAD, Edit, answer, payload, plan, request_of, sequence_of
from tests.unit.replay.triage import triage


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> ThreadExport:
    return edits.thread_of(triage(), tmp_path_factory.mktemp("lived"))


def replayed(export: ThreadExport, machine: Machine | None = None, mode: Mode = Mode.PLAYBACK) -> Replay:
    return asyncio.run(Replayer(machine or triage()).replay(export, mode))


def first_after(export: ThreadExport, edit: Edit) -> Difference:
    changed = edits.edited(export, edit)
    assert changed != export, "the edit changes something"
    return replayed(changed).differences[0]


def decision(place: int, **members: object) -> Any:
    return lambda data: data["decisions"][place].update(members)


def resealed(data: dict[str, Any]) -> None:
    """Another answer of the model, sealed as if it had come so."""
    raw = data["decisions"][0]
    raw["value"] = raw["value"].replace("s0", "s9")
    raw["seal"] = seal_of(Decision.model_validate(raw))


RUN_EDITS: dict[str, tuple[Edit, str, int, int, str]] = {
    "a decision's value": (
        answer("propose", 2, decision(1, value='"else"')),
        "propose",
        2,
        1,
        "the decision was edited",
    ),
    "what was asked": (answer("propose", 2, decision(2, asked="0" * 64)), "propose", 2, 2, "the decision was edited"),
    "tokens": (answer("propose", 1, decision(0, tokens=1)), "propose", 1, 0, "the decision was edited"),
    "a value, sealed again": (answer("propose", 2, resealed), "propose", 2, 1, "something else is asked"),
    "a decision left out": (
        answer("propose", 2, lambda data: data["decisions"].pop()),
        "propose",
        2,
        2,
        "the record ends here",
    ),
    "a pass": (answer("propose", 2, lambda data: data["passes"][1].update(state="1" * 64)), "propose", 2, 1, "pass"),
    "a contribution": (
        answer("propose", 2, lambda data: data["contributions"].update(cause='"net"')),
        "propose",
        2,
        0,
        "contribution to cause",
    ),
    "a follow-up": (
        answer("route", 1, lambda data: data["follow_ups"][1].update(data='{"service":"db"}')),
        "route",
        1,
        1,
        "follow-up",
    ),
    "the reason": (answer("count", 2, lambda data: data.update(reason="cap")), "count", 2, 0, "reason"),
    "usage": (answer("propose", 2, lambda data: data["usage"].update(tokens=1)), "propose", 2, 0, "usage"),
    "an overtaken answer": (
        answer("count", 1, lambda data: data["contributions"].update(total="99")),
        "count",
        1,
        0,
        "contribution to total",
    ),
    "which attempt": (answer("count", 2, lambda data: data.update(attempt=3)), "count", 2, 0, "answer at"),
    "the payload of a request": (payload("the route", service="db"), "route", 0, 0, "payload digest"),
    "a payload that does not fit": (payload("first count", more=1), "count", 0, 0, "the run is not opened"),
    "model binding": (plan("propose", "model", "openai:else"), "propose", 2, 0, "frozen plan"),
    "budget": (plan("count", "budget", {"tokens": 5}), "count", 2, 0, "frozen plan"),
    "binding where nobody was asked": (plan("count", "model", "openai:else"), "count", 2, 0, "frozen plan"),
    "instructions": (plan("propose", "instructions", "2" * 64), "propose", 2, 0, "frozen plan"),
    "seed": (plan("count", "seed", 7), "count", 2, 0, "frozen plan"),
    "a plan that is none": (answer("count", 2, lambda data: data.update(plan="{")), "count", 2, 0, "frozen plan"),
}


def test_nothing_differs_before_anything_is_changed(lived: ThreadExport) -> None:
    found = replayed(lived)
    assert found.identical, found.differences
    assert (found.events, found.runs) == (len(lived.events), 6)
    assert found.decisions == sum(len(orjson.loads(one.body)["data"].get("decisions", ())) for one in _answers(lived))


@pytest.mark.parametrize("name", RUN_EDITS)
def test_an_edit_of_a_run_shows_at_its_attempt_and_place(lived: ThreadExport, name: str) -> None:
    edit, step, attempt, place, what = RUN_EDITS[name]
    found = first_after(lived, edit)
    assert (found.thread, found.sequence) == (THREAD, request_of(lived, step)), found
    assert (found.attempt, found.place, found.what) == (attempt, place, what), found


def test_an_edited_step_shows_where_it_came(lived: ThreadExport) -> None:
    found = first_after(lived, payload("first note", text="b"))
    assert (found.thread, found.sequence, found.what) == (THREAD, sequence_of(lived, "first note"), "event")
    assert found.recorded != found.found != ""


def test_an_edited_event_or_history_shows_where_it_is(lived: ThreadExport) -> None:
    for member in ("event", "history"):
        found = first_after(lived, lambda raw, member=member: raw["events"][1].update({member: "0" * 64}))
        assert (found.sequence, found.what) == (lived.events[1].sequence, member)


def test_a_message_that_was_dropped_shows_where_it_was(lived: ThreadExport) -> None:
    note = sequence_of(lived, "first note")
    found = first_after(lived, lambda raw: edits.dropped(raw, note))
    assert (found.sequence, found.what, found.found) == (note, "event", "")
    request = request_of(lived, "count")
    found = first_after(lived, lambda raw: edits.dropped(raw, request))
    assert (found.sequence, found.what) == (request, "the run is not opened")
    late = edits.answered_at(lived, "count", 1)
    found = first_after(lived, lambda raw: edits.dropped(raw, late))
    assert (found.sequence, found.attempt, found.what) == (request, 1, "answer at")


def test_independent_messages_may_change_places_and_dependent_ones_may_not(lived: ThreadExport) -> None:
    note = sequence_of(lived, "first note")
    assert replayed(edits.edited(lived, lambda raw: edits.swapped(raw, note))).identical
    contest = sequence_of(lived, "contest")
    found = first_after(lived, lambda raw: edits.swapped(raw, contest))
    assert (found.sequence, found.what) == (contest, "event")


def test_a_closure_that_was_changed_shows_at_its_first_event(lived: ThreadExport) -> None:
    found = replayed(lived, triage(closure="unsure")).differences[0]
    (event,) = (one for one in lived.messages if one.step == "confirm")
    assert (found.sequence, found.what) == (event.sequence, "event")


def test_a_section_that_was_edited_shows(lived: ThreadExport) -> None:
    found = replayed(edits.edited(lived, lambda raw: raw["sections"].update({THREAD: "0" * 64})))
    assert [(one.sequence, one.what) for one in found.differences] == [(lived.events[-1].sequence, "section digest")]


def test_an_export_of_another_machine_or_without_sense_is_refused(lived: ThreadExport) -> None:
    other = triage()
    other.step("more", kind="process")
    with pytest.raises(RelmError, match="machine_mismatch"):
        replayed(lived, other)
    broken = edits.edited(lived, answer("count", 2, lambda data: data.update(request="x")))
    with pytest.raises(RelmError, match="log_invalid"):
        replayed(broken)


def test_a_simulation_with_the_same_models_finds_nothing(lived: ThreadExport) -> None:
    found = replayed(lived, mode=Mode.RESIMULATE)
    assert found.identical, found.differences


def test_a_simulation_with_another_model_names_the_first_divergence_and_still_compares_histories(
    lived: ThreadExport,
) -> None:
    found = replayed(lived, triage(says="net"), Mode.RESIMULATE)
    first = found.differences[0]
    assert (first.sequence, first.attempt, first.place) == (request_of(lived, "propose"), 1, 2)
    assert (first.what, '"disk"' in first.recorded, '"net"' in first.found) == ("something else came", True, True)
    assert {one.what for one in found.differences} <= {
        "something else came",
        "contribution to cause",
        "contribution to opinions",
        "pass",
    }, "events and histories come from what is recorded"
    changed = edits.edited(lived, payload("again", symptom="else"))
    assert "event" in {one.what for one in replayed(changed, mode=Mode.RESIMULATE).differences}


def _answers(export: ThreadExport) -> list[Any]:
    return [one for one in export.messages if one.step == "_answer" and one.body]
