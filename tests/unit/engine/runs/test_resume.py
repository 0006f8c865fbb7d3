"""Goal: a run that dies after any decision goes on from there, asks nobody twice, and gives the same answer. Method:
cancel it as its k-th decision is kept, for every k, and carry it out again with what was kept.
"""

from __future__ import annotations

import asyncio

import pytest

from relmachine.engine.runs.port import Keep, Mode
from relmachine.kernel.answer import Decision, Reason
from tests.unit.engine.runs.incidents import Effects, incidents
from tests.unit.engine.runs.scene import Scene, assert_plays_back, call, final, prose, scripted, timeless
from tests.unit.engine.runs.test_forms import investigation


def agent(effects: Effects) -> Scene:
    turns = scripted(
        call("look", {"service": "a"}),
        prose("hm"),
        call("publish", {"step": "report", "data": {}}),
        final(cause="disk"),
    )
    return Scene(incidents(effects), "hypothesise", {"default": turns})


def keeping(kept: list[Decision]) -> Keep:
    """Keeps into `kept`, each decision at its place."""

    async def keep(at: int, decision: Decision) -> None:
        assert at == len(kept)
        kept.append(decision)

    return keep


async def dying(scene: Scene, place: int, kept: list[Decision]) -> None:
    """The run is cancelled once decision `place` is kept."""
    reached, adding = asyncio.Event(), keeping(kept)

    async def keep(at: int, decision: Decision) -> None:
        await adding(at, decision)
        if at == place:
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(scene.carrier.carry_out(scene.request(), keep))
    await reached.wait()
    task.cancel()
    await task


@pytest.mark.parametrize("make", [agent, investigation])
def test_a_run_goes_on_after_every_decision(make: type[Scene]) -> None:
    whole = make(Effects()).run()
    assert len(whole.decisions) >= 5
    for place in range(len(whole.decisions)):
        effects = Effects()
        scene = make(effects)
        kept: list[Decision] = []

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(dying(scene, place, kept))

        answer = scene.carry(scene.request(tuple(kept)), keeping(kept)).answer
        assert answer.reason == Reason.DONE
        assert tuple(kept) == answer.decisions
        assert len(scene.models.asked) == whole.usage.model_calls
        assert effects.called.count("look") == sum(item.name == "look" for item in whole.decisions)
        given = {"time", "id"}
        one, other = ([item for item in run.decisions if item.kind not in given] for run in (answer, whole))
        assert one == other
        assert (answer.contributions, answer.passes, answer.follow_ups) == (
            whole.contributions, whole.passes, whole.follow_ups,
        )  # fmt: skip
        assert_plays_back(scene, answer)


def test_a_run_that_is_complete_in_the_record_asks_nobody() -> None:
    scene = agent(Effects())
    answer = scene.run()
    scene.models.asked.clear()
    again = scene.carry(scene.request(answer.decisions, Mode.LIVE))
    assert timeless(again.answer) == timeless(answer)
    assert scene.models.asked == []
