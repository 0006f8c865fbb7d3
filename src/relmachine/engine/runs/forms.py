"""The forms of closures of detached steps: a prompt for a model, a coroutine with the run, a long computation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, cast

from relmachine.engine.outputs import Taken, bounded, taken
from relmachine.engine.runs.ended import RunEnded
from relmachine.engine.runs.running import Running
from relmachine.engine.runs.threads import Raised, Returned, awaited_in_thread, in_thread
from relmachine.engine.words import said
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Reason


async def carry(running: Running) -> Taken:
    """Contributions and follow-ups of the run. Raises `RunEnded` when there are none.

    What needs PydanticAI is imported where a model is asked: it takes longer to load than all the rest.
    """
    request = running.request
    closure = cast(Callable[..., object], request.step.closure)
    payload = request.step.payload_model.model_validate_json(request.payload)
    if inspect.iscoroutinefunction(closure):
        return _understood(running, _output(running, await _with_run(running, closure, payload)))
    output = _output(running, await in_thread(lambda: closure(payload, request.view)))
    if running.plan.model is None:
        return _understood(running, output)
    return _whole(running, await _answered(running, output))


async def _with_run(running: Running, closure: Callable[..., object], payload: object) -> Returned | Raised:
    from relmachine.engine.runs.agent import Agent
    from relmachine.engine.runs.run import ClosureRun

    run, view = ClosureRun(running, Agent(running)), running.request.view

    def begin() -> Coroutine[Any, Any, object]:
        run.enter()
        return cast(Coroutine[Any, Any, object], closure(payload, view, run))

    try:
        outcome = await awaited_in_thread(begin)
        await run.over()
        return outcome
    finally:
        run.leave()


async def _answered(running: Running, prompt: object) -> Taken:
    from relmachine.engine.runs.agent import answer_of

    step = running.request.step.name
    if not isinstance(prompt, str) or not prompt or not _is_text(prompt):
        sentence = f"the closure of {step!r} returns a {type(prompt).__name__}: return the prompt, a text"
        raise running.ended(Reason.FATAL, Code.OUTPUT_INVALID, sentence, step=step)
    return cast(Taken, await answer_of(running, prompt))


def _understood(running: Running, output: object) -> Taken:
    """What a closure returned."""
    try:
        return _whole(running, taken(running.request.plan, running.request.step, output))
    except RelmError as error:
        raise running.failed(error) from error


def _whole(running: Running, found: Taken) -> Taken:
    """With the steps that were proposed on the way, which come first."""
    written, follow_ups = found
    try:
        return written, bounded(running.request.step, [*running.proposals, *follow_ups])
    except RelmError as error:
        raise running.failed(error) from error


def _output(running: Running, outcome: Returned | Raised) -> object:
    """What the closure returned. What it raised ends the run, unless the run had ended before."""
    running.recorder.check()
    if isinstance(outcome, Returned):
        return outcome.value
    error, step = outcome.error, running.request.step.name
    if isinstance(error, RunEnded):
        raise error
    if isinstance(error, RelmError):
        raise running.failed(error)
    sentence = f"the closure of {step!r} raised: mend it, or the payload, and publish the step under a new id"
    raise running.ended(Reason.FATAL, Code.CLOSURE_FAILED, sentence, detail=said(error))


def _is_text(prompt: str) -> bool:
    """Whether it has a UTF-8 form: lone surrogates have none."""
    return not any("\ud800" <= character <= "\udfff" for character in prompt)
