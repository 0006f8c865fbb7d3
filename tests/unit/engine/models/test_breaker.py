"""Goal: a model that keeps failing is left alone, asked once after a while, and taken back when it answers. Method: a
breaker on a clock moved by hand, then the same through a scripted server.
"""

from __future__ import annotations

import asyncio

import pytest
from pydantic_ai.messages import TextPart

from relmachine.engine.models.breaker import Breaker
from tests.unit.engine.models.asking import LOCAL, Time, ask, models, refused
from tests.unit.engine.models.scripted_server import said, serving, status


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(2, 30.0, lambda: 0.0)
    breaker.failed()
    breaker.answered()
    breaker.failed()
    assert breaker.rest() == 0
    breaker.failed()
    assert breaker.rest() == 30.0


def test_half_open_lets_one_through_whose_end_decides() -> None:
    time = Time()
    breaker = Breaker(1, 30.0, lambda: time.now)
    breaker.failed()
    time.now += 29
    assert breaker.rest() == 1.0
    time.now += 1
    assert breaker.rest() == 0
    with breaker.through():
        assert breaker.rest() > 0, "a second one gets through beside the probe"
        breaker.failed()
    assert breaker.rest() == 30.0
    time.now += 30
    with breaker.through():
        breaker.answered()
    assert breaker.rest() == 0


def test_a_probe_that_is_cancelled_gives_its_place_back() -> None:
    time = Time()
    breaker = Breaker(1, 30.0, lambda: time.now)
    breaker.failed()
    time.now += 30
    with pytest.raises(asyncio.CancelledError), breaker.through():
        raise asyncio.CancelledError
    assert breaker.rest() == 0


def test_a_server_that_fails_is_left_alone_and_taken_back() -> None:
    async def scenario() -> None:
        time = Time()
        bounds = {"attempts_max": 2, "failures_in_a_row_max": 3, "rest_seconds": 60.0}
        async with serving(status(500)) as server, models(server, time, **bounds) as found:
            model = found.resolve(LOCAL)
            assert "open_seconds" not in (await refused(model)).witness
            error = await refused(model)  # the third failure in a row is its first attempt
            assert (error.witness["attempts"], error.witness["open_seconds"], len(server.asked)) == (1, 60.0, 3)
            error = await refused(model)
            assert (error.witness["attempts"], error.witness["status"], len(server.asked)) == (0, None, 3)
            time.now += 60
            error = await refused(model)  # the probe
            assert (error.witness["attempts"], len(server.asked)) == (1, 4)
            time.now += 60
            server.script[:] = [said("well again")]
            assert (await ask(model)).parts == [TextPart("well again")]
            assert (await ask(model)).parts == [TextPart("well again")]

    asyncio.run(scenario())


def test_each_binding_has_a_breaker_of_its_own() -> None:
    async def scenario() -> None:
        async with serving(status(500), said("fine")) as server, models(server, failures_in_a_row_max=1) as found:
            await refused(found.resolve("openai:one"))
            assert (await ask(found.resolve("openai:two"))).parts == [TextPart("fine")]
            assert found.resolve("openai:one") is found.resolve("openai:one")

    asyncio.run(scenario())
