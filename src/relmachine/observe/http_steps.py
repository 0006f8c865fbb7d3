"""Publishing over HTTP: one CloudEvent in, its place in the stream or its settled outcome out."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from relmachine.errors import Code, RelmError
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import check_thread
from relmachine.observe.answers import RecordApplied, StepAccepted, StepCommitted, StepHeld, StepOpened, StepRefused
from relmachine.observe.asking import SEQUENCE_MAX
from relmachine.observe.http_body import bounded_body, discard_body
from relmachine.observe.http_errors import ERRORS, STATUS
from relmachine.observe.port import NodeView
from relmachine.observe.publishing import Outcome, outcome_of, settled_of, submit_one

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One CloudEvents 1.0 event in structured JSON mode. `subject`, when present, is the thread.",
        "content": {"application/cloudevents+json": {"schema": Envelope.model_json_schema()}},
    }
}

_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": StepRefused, "description": description}
    for status, description in (
        (403, "Policy refuses it"),
        (409, "It contradicts what the thread holds"),
        (422, "It is no step of this machine"),
    )
}


def steps_router(node: NodeView, limits: Limits) -> APIRouter:
    """`POST /threads/{thread}/steps` and `GET /threads/{thread}/steps/{sequence}`."""
    router = APIRouter(tags=["steps"], responses={**ERRORS, **_REFUSED})

    @router.post(
        "/threads/{thread}/steps",
        status_code=202,
        response_model=StepAccepted | StepOpened | StepHeld,
        responses={200: {"model": StepCommitted | RecordApplied, "description": "Decided (with wait=settled)"}},
        openapi_extra=_BODY,
        summary="Publish a step",
    )
    async def publish(
        thread: str,
        request: Request,
        wait: Annotated[Literal["settled"] | None, Query(description="Wait for the outcome")] = None,
        seconds: Annotated[
            float | None, Query(alias="timeout", description="Seconds to wait, at most and by default the limit")
        ] = None,
    ) -> Response:
        longest = bounded_seconds(seconds, limits)
        try:
            accepted = await submit_one(node, thread, lambda: bounded_body(request, limits))
        except RelmError as error:
            if error.code is Code.OVERLOADED:
                await discard_body(request)
            raise
        if not isinstance(accepted, StepAccepted):
            return refused_response(accepted)
        answer = None if wait is None else await settled_of(node, accepted, longest)
        if answer is None:
            return accepted_response(accepted)
        return outcome_response(answer)

    @router.get(
        "/threads/{thread}/steps/{sequence}",
        response_model=StepCommitted | StepOpened | StepHeld | RecordApplied,
        summary="The outcome of a stream sequence, once it is decided",
    )
    async def outcome(
        thread: str,
        sequence: Annotated[int, Path(ge=1, le=SEQUENCE_MAX)],
        seconds: Annotated[float, Query(alias="timeout", description="Seconds to wait for it")] = 0.0,
        key: Annotated[str, Query(max_length=1024, description="Which step, where one record brought many")] = "",
    ) -> Response:
        check_thread(thread, limits)
        longest = bounded_seconds(seconds, limits)
        answer = await outcome_of(node, thread, sequence, longest, repeated=bool(key), key=key)
        if answer is None:
            sentence = "nothing is decided at this sequence of the thread: ask again with a longer timeout"
            raise RelmError(Code.NOT_FOUND, sentence, thread=thread, sequence=sequence)
        return outcome_response(answer)

    return router


def bounded_seconds(seconds: float | None, limits: Limits) -> float:
    """`seconds` within the limit, which is also what None means. Errors: `limit_exceeded`."""
    longest = limits.outcome_wait_seconds_max
    if seconds is None:
        return longest
    if not 0 <= seconds <= longest:
        sentence = f"wait between 0 and {longest:g} seconds, then ask for the outcome again"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, outcome_wait_seconds_max=longest, timeout=str(seconds))
    return seconds


def accepted_response(accepted: StepAccepted) -> JSONResponse:
    place = f"/threads/{quote(accepted.thread, safe='')}/steps/{accepted.sequence}"
    return JSONResponse(accepted.model_dump(mode="json"), 202, {"Location": place})


def outcome_response(answer: Outcome) -> JSONResponse:
    if isinstance(answer, StepRefused):
        return refused_response(answer)
    return JSONResponse(answer.model_dump(mode="json"), 202 if isinstance(answer, StepOpened | StepHeld) else 200)


def refused_response(refused: StepRefused) -> JSONResponse:
    return JSONResponse(refused.model_dump(mode="json"), STATUS[refused.code])
