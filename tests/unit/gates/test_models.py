"""Goal: public models cannot be built wrong, and say what is. Method: fibers and threads of the permit log, whole and
with one thing changed, through JSON and back."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from relmachine import Accord, AccordSection, Fiber
from tests import permit
from tests.mutations import real
from tests.mutations.of_points import ask_points, flip_stable, points_of


def law(error: pytest.ExceptionInfo[ValidationError]) -> tuple[str, list[Any]]:
    """The broken law and its witness."""
    (found,) = error.value.errors()
    assert found["type"] == "law_violated"
    assert found["ctx"]["sentence"] in found["msg"]
    return found["ctx"]["law"], found["ctx"]["witness"]


def sections(thread: int = 0) -> list[dict[str, Any]]:
    """The sections of a thread of the log, as JSON values."""
    turn = [turn for turn in real.turns() if len(turn.events) >= 4][thread]
    fields = {name: str(field.reducer) for name, field in permit.plan().fields.items()}
    events = [event.event_id for event in turn.events]
    return [
        {
            "accord_id": "accord",
            "history_id": row.history_id,
            "fields": fields,
            "events": events[: place + 1],
            "contributions": [item._asdict() for item in turn.contributions if item.event_id in events[: place + 1]],
        }
        for place, row in enumerate(turn.histories)
    ]


def accord(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The accord of some sections, as a JSON value."""
    return {
        "accord_id": "accord",
        "fields": items[0]["fields"],
        "sections": {item["history_id"]: item for item in items},
    }


def test_every_fiber_of_the_log_goes_through_json_and_back() -> None:
    for fiber in real.fibers():
        model = Fiber.of(fiber)
        assert model.fiber_id == fiber.fiber_id
        text = model.model_dump_json(exclude={"fiber_id"})
        assert Fiber.model_validate_json(text) == model
        assert model.algebra() == fiber


def test_a_fiber_that_breaks_a_law_is_not_built() -> None:
    with pytest.raises(ValidationError) as broken:
        Fiber.model_validate({"points": {"a": {"rests_on": ["b"]}, "b": {"rests_on": ["c"]}, "c": {}}})
    assert law(broken) == ("up_transitive", ["a", "b", "c"])
    with pytest.raises(ValidationError) as broken:
        Fiber.model_validate({"points": {"a": {"rests_on": ["b"]}, "b": {"rests_on": ["a"]}}})
    assert law(broken)[0] == "up_antisymmetric"
    with pytest.raises(ValidationError) as broken:
        Fiber.model_validate({"points": {"a": {"rests_on": ["b"]}}})
    assert law(broken) == ("up_inside", ["a", "b"])
    model = {"a": {"rests_on": ["b"], "saturation": False}, "b": {"transfer": False}}
    with pytest.raises(ValidationError) as broken:
        Fiber.model_validate({"points": model})
    assert law(broken) == ("points_commuting", ["a", "b"])


def test_a_model_is_refused_exactly_when_the_programs_refuse() -> None:
    rng, refused = Random(1), 0
    for _ in range(150):
        fiber = points_of(rng.choice(real.fibers()))
        mutant = flip_stable(rng, fiber)[1]
        names = mutant.points
        points = {
            name: {
                "rests_on": [names[at] for at in range(len(names)) if at != place and mutant.up[place] >> at & 1],
                "saturation": bool(mutant.saturation >> place & 1),
                "transfer": bool(mutant.transfer >> place & 1),
            }
            for place, name in enumerate(mutant.points)
        }  # fmt: skip
        (broken,) = ask_points([mutant])
        try:
            Fiber.model_validate({"points": points})
            assert not broken
        except ValidationError:
            assert broken
            refused += 1
    assert 20 < refused < 130


def test_threads_of_the_log_are_accords_and_go_through_json_and_back() -> None:
    for thread in range(10):
        model = Accord.model_validate(accord(sections(thread)))
        assert Accord.model_validate_json(model.model_dump_json()) == model
        assert Accord.of(model.sections.values()) == model
        assert set(model.sections[sections(thread)[-1]["history_id"]].values()) >= {"channel", "officers"}


def test_a_section_of_what_it_does_not_hold_is_not_built() -> None:
    last = sections()[-1]
    stray = {**last, "events": last["events"][1:]}
    with pytest.raises(ValidationError) as broken:
        AccordSection.model_validate(stray)
    name, witness = law(broken)
    assert (name, witness[1]) == ("section_inside", last["events"][0])
    twice = {**last, "contributions": [*last["contributions"], {**last["contributions"][0], "value": '"another"'}]}
    with pytest.raises(ValidationError) as broken:
        AccordSection.model_validate(twice)
    assert law(broken)[0] == "turn_overlap"
    other = {"event_id": last["events"][1], "field": "channel", "value": '"another"'}
    with pytest.raises(ValidationError) as broken:
        AccordSection.model_validate({**last, "contributions": [*last["contributions"], other]})
    assert (law(broken)[0], law(broken)[1][0]) == ("once_agrees", "channel")
    with pytest.raises(ValidationError, match="is no field"):
        AccordSection.model_validate({**last, "fields": {}})


@pytest.mark.parametrize("lost", [True, False])
def test_sections_that_do_not_glue_are_no_accord(*, lost: bool) -> None:
    items = orjson.loads(orjson.dumps(sections()))
    row = next(item for item in items[1]["contributions"] if item["field"] == "officers")
    if lost:
        items[1]["contributions"].remove(row)
    else:
        row["value"] = '"another"'
    with pytest.raises(ValidationError) as broken:
        Accord.model_validate(accord(items))
    name, witness = law(broken)
    assert name == "overlap"
    assert items[1]["history_id"] in witness[:2]
    assert witness[2:] == [row["event_id"], "officers"]


def test_forks_may_differ_in_a_once_field_and_a_history_of_both_may_not() -> None:
    fields = {"name": "once"}
    left, right = (
        {
            "accord_id": "accord",
            "history_id": side,
            "fields": fields,
            "events": ["first", side],
            "contributions": [{"event_id": side, "field": "name", "value": f'"{side}"'}],
        }
        for side in ("left", "right")
    )
    assert len(Accord.model_validate(accord([left, right])).sections) == 2
    both = {**left, "history_id": "both", "events": ["first", "left", "right"]}
    both["contributions"] = [*left["contributions"], *right["contributions"]]
    with pytest.raises(ValidationError) as broken:
        Accord.model_validate(accord([left, right, both]))
    assert law(broken)[0] == "once_agrees"


def test_a_section_under_another_name_is_no_accord() -> None:
    value = accord(sections())
    first, second = list(value["sections"])[:2]
    value["sections"][first] = value["sections"][second]
    with pytest.raises(ValidationError, match="of another history"):
        Accord.model_validate(value)
