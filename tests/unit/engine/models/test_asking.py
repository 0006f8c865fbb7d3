"""Goal: a model is asked as declared, again when it fails in passing, and never without a bound. Method: a real HTTP
server that plays a script, and a clock of the test's own.
"""

from __future__ import annotations

import asyncio
import gzip
import socket

import orjson
import pytest
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import FunctionModel

from relmachine.engine.models import ModelBounds, Models, NodeModels, give_up_at
from tests.unit.engine.models.asking import LOCAL, Time, ask, models, refused
from tests.unit.engine.models.scripted_server import called, raw, said, serving, status


def test_the_server_of_the_base_url_is_asked_with_the_nodes_key_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-service")

    async def scenario() -> None:
        async with serving(said("yes")) as server, models(server) as found:
            answer = await ask(found.resolve(found.binding("default")))
            assert answer.parts == [TextPart("yes")]
            assert server.asked[0]["model"] == "local"
            assert server.headers[0]["Authorization"] == "Bearer the-key"
            keyless = Models({}, NodeModels(base_url=server.url))
            await ask(keyless.resolve(LOCAL))
            await keyless.close()
            assert server.headers[1]["Authorization"] == "Bearer none"

    asyncio.run(scenario())


def test_a_tool_call_comes_as_one() -> None:
    async def scenario() -> None:
        async with serving(called("look", '{"at": 1}')) as server, models(server) as found:
            (part,) = (await ask(found.resolve(LOCAL), "look")).parts
            assert isinstance(part, ToolCallPart)
            assert (part.tool_name, part.args_as_dict()) == ("look", {"at": 1})
            assert [tool["function"]["name"] for tool in server.asked[0]["tools"]] == ["look"]

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [408, 409, 429, 500, 503])
def test_what_fails_in_passing_is_asked_again_after_a_growing_pause(code: int) -> None:
    async def scenario() -> None:
        time = Time()
        async with serving(status(code), status(code), said("at last")) as server, models(server, time) as found:
            assert (await ask(found.resolve(LOCAL))).parts == [TextPart("at last")]
            assert (len(server.asked), time.slept) == (3, [0.5, 1.0])

    asyncio.run(scenario())


def test_attempts_are_counted_and_then_over() -> None:
    async def scenario() -> None:
        async with serving(status(500)) as server, models(server) as found:
            error = await refused(found.resolve(LOCAL))
            assert len(server.asked) == ModelBounds().attempts_max == error.witness["attempts"]
            assert (error.witness["model"], error.witness["status"]) == (LOCAL, 500)
            assert "open_seconds" not in error.witness

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [400, 401, 404, 422])
def test_what_the_server_refuses_is_not_asked_again(code: int) -> None:
    async def scenario() -> None:
        async with serving(status(code)) as server, models(server, failures_in_a_row_max=1) as found:
            for number in (1, 2):  # a refusal opens no breaker
                error = await refused(found.resolve(LOCAL))
                assert (error.witness["status"], error.witness["attempts"], len(server.asked)) == (code, 1, number)

    asyncio.run(scenario())


def test_the_server_says_how_long_to_wait_up_to_a_bound() -> None:
    async def scenario() -> None:
        time = Time()
        script = (status(429, Retry_After="7"), said("now"), status(429, Retry_After="3600"))
        async with serving(*script) as server, models(server, time) as found:
            await ask(found.resolve(LOCAL))
            assert time.slept == [7.0]
            error = await refused(found.resolve(LOCAL))
            assert (error.witness["status"], error.witness["attempts"], time.slept) == (429, 1, [7.0])

    asyncio.run(scenario())


def test_no_pause_is_begun_that_outlasts_the_run() -> None:
    async def scenario() -> None:
        time = Time()
        async with serving(status(429, Retry_After="7")) as server, models(server, time) as found:
            with give_up_at(time.now + 10):
                error = await refused(found.resolve(LOCAL))
            assert (error.witness["attempts"], time.slept) == (2, [7.0])

    asyncio.run(scenario())


def test_a_model_that_hangs_is_given_up_within_its_time() -> None:
    async def scenario() -> None:
        async with serving(said("")) as server, models(server, request_seconds_max=0.2, attempts_max=2) as found:
            server.script[:] = [server.hang()]
            error = await asyncio.wait_for(refused(found.resolve(LOCAL)), 5)
            assert (error.witness["attempts"], error.witness["status"], len(server.asked)) == (2, None, 2)

    asyncio.run(scenario())


def test_a_server_that_is_not_there() -> None:
    async def scenario() -> None:
        with socket.socket() as taken:  # bound and not listening: connecting is refused
            taken.bind(("127.0.0.1", 0))
            found = Models({}, NodeModels(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1"), sleep=Time().sleep)
            error = await asyncio.wait_for(refused(found.resolve(LOCAL)), 10)
            await found.close()
            assert (error.witness["attempts"], error.witness["status"]) == (4, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"<html>", b"[1, 2]", b'{"choices": "none"}', b""])
def test_garbage_is_a_failure_and_no_crash(body: bytes) -> None:
    async def scenario() -> None:
        async with serving(raw(body)) as server, models(server) as found:
            error = await asyncio.wait_for(refused(found.resolve(LOCAL)), 10)
            assert error.witness["error"]
            assert len(server.asked) == error.witness["attempts"]

    asyncio.run(scenario())


def test_an_answer_of_10_mb_is_not_taken_whole() -> None:
    async def scenario() -> None:
        total = 10 * 1024 * 1024
        async with serving(said("")) as server, models(server, answer_bytes_max=100_000) as found:
            server.script[:] = [server.flood(total)]
            error = await refused(found.resolve(LOCAL))
            assert (error.witness["attempts"], error.witness["error"]) == (1, "AnswerRefusedError")
            assert server.sent < total, "the client went on taking"

    asyncio.run(scenario())


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_says_how_long_it_is_or_hides_it(packed: bool) -> None:
    body = orjson.dumps({"padding": "x" * 200_000})
    play = raw(gzip.compress(body), Content_Encoding="gzip") if packed else raw(body)

    async def scenario() -> None:
        async with serving(play) as server, models(server, answer_bytes_max=100_000) as found:
            error = await refused(found.resolve(LOCAL))
            assert (error.witness["attempts"], error.witness["error"]) == (1, "AnswerRefusedError")
            assert "gzip" in str(error.witness["detail"]) or not packed

    asyncio.run(scenario())


def test_requests_at_the_same_time_get_their_own_answers() -> None:
    async def scenario() -> None:
        async with serving(said("")) as server, models(server) as found:
            server.script[:] = [server.echo(together=12)]
            model = found.resolve(LOCAL)
            answers = await asyncio.gather(*(ask(model, prompt=f"number {number}") for number in range(12)))
            assert [answer.parts for answer in answers] == [[TextPart(f"number {number}")] for number in range(12)]

    asyncio.run(scenario())


def test_only_so_many_requests_are_out() -> None:
    inside = most = 0

    async def slow(*_: object) -> ModelResponse:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _step in range(50):  # without a bound, all of them begin before the first one ends
            await asyncio.sleep(0)
        inside -= 1
        return ModelResponse([TextPart("")])

    async def scenario() -> None:
        found = Models({"slow": FunctionModel(slow)}, bounds=ModelBounds(requests_in_flight_max=3))
        await asyncio.gather(*(ask(found.resolve("author:slow")) for _ in range(12)))
        assert most == 3

    asyncio.run(scenario())


def test_an_adapter_that_hangs_by_itself_is_given_up_too() -> None:
    async def hanging(*_: object) -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def scenario() -> None:
        bounds = ModelBounds(request_seconds_max=0.05, attempts_max=2)
        found = Models({"own": FunctionModel(hanging)}, bounds=bounds, sleep=Time().sleep)
        error = await asyncio.wait_for(refused(found.resolve("author:own")), 5)
        assert (error.witness["attempts"], error.witness["error"]) == (2, "TimeoutError")

    asyncio.run(scenario())


def test_cancelling_a_request_is_no_failure_of_the_model() -> None:
    async def scenario() -> None:
        async with serving(said("")) as server, models(server, failures_in_a_row_max=1) as found:
            server.script[:] = [server.hang(), said("here")]
            asking = asyncio.ensure_future(ask(found.resolve(LOCAL)))
            await server.arrived.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert (await ask(found.resolve(LOCAL))).parts == [TextPart("here")]

    asyncio.run(scenario())


def test_whatever_an_adapter_raises_is_told() -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("in the adapter")

    async def scenario() -> None:
        found = Models({"own": FunctionModel(broken)})  # pyright: ignore[reportArgumentType]
        error = await refused(found.resolve(found.binding("own")))
        assert (error.witness["error"], error.witness["detail"]) == ("ZeroDivisionError", "in the adapter")
        assert isinstance(error.__cause__, ZeroDivisionError)

    asyncio.run(scenario())


def test_streaming_is_refused() -> None:
    async def scenario() -> None:
        async with serving(said("")) as server, models(server) as found:
            with pytest.raises(UserError, match="without streaming"):
                async with found.resolve(LOCAL).request_stream([], None, ModelRequestParameters()):
                    pass
            assert not server.asked

    asyncio.run(scenario())
