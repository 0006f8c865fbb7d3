"""Goal: every way in which an OPA server answers, or fails to, means what DESIGN.md says. Method: a server that
misbehaves as told, and the verdicts and errors of the policy that asks it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

import orjson
import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.opa import OpaPolicy
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.gates.patience import OutOfPatienceError, patiently
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import Refusal
from tests.unit.gates.scripted_opa import ALLOW, Reply, Reset, ScriptedOpa, Silence, answer, raw

ANSWER_SECONDS = 0.4
BOUNDS = OpaBounds(answer_seconds_max=ANSWER_SECONDS, connect_seconds_max=0.2, answer_bytes_max=10_000)
DEFERRING = OpaBounds(answer_seconds_max=ANSWER_SECONDS, connect_seconds_max=0.2, silence="defer")
CHECKED = answer([])


def step(thread: str = "t1") -> Candidate:
    return Candidate(1, thread, "check", "k", '{"secret":1}', "d", principal="ann")


async def decide(url: str, *batches: Sequence[Candidate], bounds: OpaBounds = BOUNDS) -> list[list[Refusal | None]]:
    async with OpaPolicy.opened(url, "permit", opa_bounds=bounds) as policy:
        return [list(await policy.decide(batch)) for batch in batches]


def verdicts(server: ScriptedOpa, *batches: Sequence[Candidate], bounds: OpaBounds = BOUNDS) -> list[list[object]]:
    """The reasons of each refusal, None for what is allowed."""
    decided = asyncio.run(decide(server.url, *batches, bounds=bounds))
    return [[None if refusal is None else refusal.witness["reasons"] for refusal in batch] for batch in decided]


def failure(server: ScriptedOpa, bounds: OpaBounds = BOUNDS) -> RelmError:
    with pytest.raises(RelmError) as caught:
        verdicts(server, [step()], bounds=bounds)
    return caught.value


UNDECIDED = ["undecided"]


def test_a_batch_is_one_query_of_what_is_not_remembered_without_payloads() -> None:
    with ScriptedOpa() as server:
        batch = [step("t1"), step("t2"), step("t1")]
        assert verdicts(server, batch, batch, [*batch, step("t3")]) == [[None] * 3, [None] * 3, [None] * 4]
        asked = [orjson.loads(body)["input"]["questions"] for body in server.bodies]
        assert [[question["thread"] for question in questions] for questions in asked] == [[], ["t1", "t2"], ["t3"]]
        assert asked[2] == [
            {
                "principal": "ann",
                "machine": "permit",
                "thread": "t3",
                "step": "check",
                "size": "small",
                "rate": "normal",
            }
        ]


def test_a_batch_beyond_the_bound_makes_several_queries_until_one_is_not_answered() -> None:
    bounds = OpaBounds(answer_seconds_max=ANSWER_SECONDS, connect_seconds_max=0.2, questions_max=2)
    batch = [step(f"t{number}") for number in range(5)]
    with ScriptedOpa() as server:
        assert verdicts(server, batch, bounds=bounds) == [[None] * 5]
        assert [len(orjson.loads(body)["input"]["questions"]) for body in server.bodies] == [0, 2, 2, 1]
    with ScriptedOpa(CHECKED, answer([ALLOW, None]), Silence()) as server:
        assert verdicts(server, batch, batch, bounds=bounds) == [
            [None, *[UNDECIDED] * 4],
            [None, UNDECIDED, None, None, None],
        ]


def test_an_answer_for_any_thread_is_remembered_for_all() -> None:
    with ScriptedOpa(CHECKED, answer([{**ALLOW, "any_thread": True}])) as server:
        assert verdicts(server, [step("t1")], [step("t2"), step("t3")]) == [[None], [None, None]]
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        [ALLOW],
        [ALLOW] * 3,
        {"0": ALLOW, "1": ALLOW},
        "allow",
        [True, True],
        [{**ALLOW, "allow": "yes"}] * 2,
        [{**ALLOW, "allow": 1}] * 2,
        [{**ALLOW, "reasons": "none"}] * 2,
        [{"allow": True, "reasons": []}] * 2,
    ],
)
def test_undefined_and_misshapen_answers_are_denials(result: object) -> None:
    with ScriptedOpa(CHECKED, answer(result)) as server:
        assert verdicts(server, [step("t1"), step("t2")]) == [[UNDECIDED, UNDECIDED]]


def test_one_misshapen_decision_denies_its_own_step_only() -> None:
    with ScriptedOpa(CHECKED, answer([ALLOW, None, ALLOW])) as server:
        assert verdicts(server, [step("t1"), step("t2"), step("t3")]) == [[None, UNDECIDED, None]]


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error"])
def test_an_evaluation_that_failed_is_a_denial(status: str) -> None:
    with ScriptedOpa(CHECKED, answer([ALLOW], status=status)) as server:
        assert verdicts(server, [step()]) == [[UNDECIDED]]


def test_an_answer_beyond_the_bound_is_a_denial() -> None:
    with ScriptedOpa(CHECKED, answer([{**ALLOW, "more": "x" * 10_000}])) as server:
        assert verdicts(server, [step()]) == [[UNDECIDED]]


def test_a_server_that_does_not_answer_in_time_denies_once() -> None:
    with ScriptedOpa(CHECKED, Silence()) as server:
        begun = time.monotonic()
        (first, second) = asyncio.run(decide(server.url, [step()], [step()]))
        assert ANSWER_SECONDS <= time.monotonic() - begun < 20 * ANSWER_SECONDS
    (refusal,) = first
    assert refusal is not None
    assert (refusal.code, refusal.witness["reasons"]) == (Code.POLICY_DENIED, UNDECIDED)
    assert "did not answer in time" in refusal.sentence
    assert second == [None]
    assert len(server.bodies) == 3


def test_what_arrives_in_pieces_slower_than_the_bound_is_silence_too() -> None:
    def half(asked: list[object]) -> Reply:
        server.script.appendleft(Silence())
        return answer([ALLOW])[:-5]

    with ScriptedOpa(CHECKED, half) as server:
        assert verdicts(server, [step()]) == [[UNDECIDED]]


def test_silence_defers_where_it_is_set_to() -> None:
    with ScriptedOpa(CHECKED, Silence()) as server:
        error = failure(server, DEFERRING)
        assert error.code is Code.UNREACHABLE
        assert "in time" in str(error.witness["detail"])
        assert verdicts(server, [step()], bounds=DEFERRING) == [[None]]


@pytest.mark.parametrize("sent", [b"", answer([ALLOW])[:-5], b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_goes_away_is_asked_again_and_then_nothing_is_decided(sent: bytes) -> None:
    with ScriptedOpa(CHECKED, Reset(sent)) as server:
        assert verdicts(server, [step()]) == [[None]]
        assert len(server.bodies) == 3
    with ScriptedOpa(CHECKED, *[Reset(sent)] * BOUNDS.attempts_max) as server:
        assert failure(server).code is Code.UNREACHABLE
        assert len(server.bodies) == 1 + BOUNDS.attempts_max
        assert verdicts(server, [step()]) == [[None]]


def test_no_server_decides_nothing() -> None:
    async def run() -> None:
        with ExitStack() as stack:
            server = stack.enter_context(ScriptedOpa())
            async with OpaPolicy.opened(server.url, "permit", opa_bounds=BOUNDS) as policy:
                stack.close()
                with pytest.raises(RelmError) as caught:
                    await policy.decide([step()])
        assert caught.value.code is Code.UNREACHABLE

    asyncio.run(run())


def test_a_connection_that_is_not_taken_decides_nothing() -> None:
    async def run() -> None:
        with socket.socket() as listening, ExitStack() as waiting:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            for _ in range(2):  # the queue is full now, and the next one is not answered
                taken = waiting.enter_context(socket.socket())
                taken.setblocking(False)
                taken.connect_ex(listening.getsockname())
            async with OpaPolicy.opened(f"http://127.0.0.1:{listening.getsockname()[1]}", "permit", opa_bounds=BOUNDS):
                pytest.fail("nobody took the connection")

    with pytest.raises(RelmError) as caught:
        asyncio.run(run())
    assert caught.value.code is Code.UNREACHABLE
    assert "Timeout" in str(caught.value.witness["detail"])


@pytest.mark.parametrize(
    "reply",
    [
        answer([ALLOW], revision="another"),
        answer(None, revision=""),
        raw(b'{"result":[{"allow":true,"reasons":[],"any_thread":true}]}'),
        raw(b"{}"),
        raw(b"<html>"),
        raw(b"[]"),
        raw(b'{"provenance":{"bundles":[]}}'),
        answer([ALLOW], status="404 Not Found"),
        answer([ALLOW], status="503 Service Unavailable"),
        raw(b"", status="307 Temporary Redirect\r\nLocation: /v1/data/elsewhere"),
    ],
)
def test_what_is_not_the_answer_of_this_policy_decides_nothing(reply: bytes) -> None:
    with ScriptedOpa(CHECKED, *[reply] * BOUNDS.attempts_max) as server:
        assert failure(server).code is Code.UNREACHABLE
        server.script.clear()
        assert verdicts(server, [step()]) == [[None]]


@pytest.mark.parametrize("reply", [answer([], revision="another"), raw(b'{"result":[]}'), answer(None)])
def test_a_node_does_not_start_on_other_rules(reply: bytes) -> None:
    with ScriptedOpa(reply) as server:
        error = failure(server)
        assert error.code is Code.POLICY_MISMATCH
        assert error.witness["expected"] != error.witness["found"]


@pytest.mark.parametrize("reply", [Silence(), raw(b"<html>"), answer([], status="500 Oh")])
def test_a_node_does_not_start_without_an_answer(reply: Reply) -> None:
    with ScriptedOpa(*[reply] * BOUNDS.attempts_max) as server:
        assert failure(server).code is Code.UNREACHABLE


def test_a_node_that_was_held_up_does_not_blame_the_server() -> None:
    def hold_up(asked: list[object]) -> Reply:
        loop.call_soon_threadsafe(time.sleep, 3 * ANSWER_SECONDS)
        return answer([ALLOW] * len(asked))

    async def run() -> list[list[Refusal | None]]:
        nonlocal loop
        loop = asyncio.get_running_loop()
        return await decide(server.url, *([step(f"t{number}")] for number in range(3)))

    loop: asyncio.AbstractEventLoop
    with ScriptedOpa(CHECKED, hold_up, hold_up, hold_up) as server:
        assert asyncio.run(run()) == [[None]] * 3


def test_who_is_always_held_up_gives_up_without_a_verdict() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()

        def hold_up() -> None:
            time.sleep(0.005)
            loop.call_soon(hold_up)

        loop.call_soon(hold_up)
        await patiently(asyncio.Event().wait(), 0.02)

    with pytest.raises(OutOfPatienceError) as caught:
        asyncio.run(run())
    assert caught.value.delayed


def test_who_gives_up_leaves_nothing_running() -> None:
    async def run() -> bool:
        ended = asyncio.Event()

        async def never() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with pytest.raises(OutOfPatienceError):
            await patiently(never(), 0.05)
        gone = ended.is_set()
        waiting = asyncio.create_task(patiently(never(), 60))
        await asyncio.wait({waiting}, timeout=0.05)
        ended.clear()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return gone and ended.is_set()

    assert asyncio.run(run())
