"""Forking, merging and resolving over HTTP."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.problems import problems
from relmachine.observe import forking
from relmachine.observe.answers import Asked, RecordApplied, StepAccepted, StepRefused
from relmachine.observe.answers_forking import Asking, ForkAsked, MergeAsked, Obstruction, Obstructions, ResolutionAsked
from relmachine.observe.forking import Asker
from relmachine.observe.http_body import bounded_body
from relmachine.observe.http_errors import ERRORS
from relmachine.observe.http_reading import Limit, ThreadName
from relmachine.observe.http_steps import accepted_response, bounded_seconds, refused_response
from relmachine.observe.port import NodeView

_B = TypeVar("_B", bound=BaseModel)

Seconds = Annotated[
    float | None,
    Query(alias="timeout", description="Seconds to wait, at most and by default the limit"),
]


def forking_router(node: NodeView, limits: Limits) -> APIRouter:
    """`POST /threads/{thread}/forks`, `POST /threads/{thread}/merges`, and the obstructions."""
    router = APIRouter(tags=["forks"], responses=ERRORS)
    answers = {
        202: {"model": StepAccepted, "description": "On the stream, not decided within the wait"},
        409: {"model": StepRefused, "description": "It contradicts what the threads hold"},
    }

    @router.post(
        "/threads/{thread}/forks",
        response_model=RecordApplied,
        responses={**answers},
        openapi_extra=body_of(ForkAsked),
        summary="Fork a thread at a history it had",
    )
    async def fork(thread: ThreadName, request: Request, seconds: Seconds = None) -> Response:
        asked = await read_body(request, ForkAsked, limits)
        longest = bounded_seconds(seconds, limits)
        return _response(await forking.fork(node, limits, asker(asked), thread, asked.at, asked.name, longest))

    @router.post(
        "/threads/{thread}/merges",
        response_model=RecordApplied,
        responses={**answers},
        openapi_extra=body_of(MergeAsked),
        summary="Merge another thread into this one",
    )
    async def merge(thread: ThreadName, request: Request, seconds: Seconds = None) -> Response:
        asked = await read_body(request, MergeAsked, limits)
        longest = bounded_seconds(seconds, limits)
        return _response(await forking.merge(node, limits, asker(asked), thread, asked.other, longest))

    @router.get("/obstructions", summary="What keeps threads from being merged")
    async def obstructions(
        thread: Annotated[str | None, Query(description="Only those of this thread")] = None,
        *,
        resolved: Annotated[bool, Query(description="Also those that are resolved")] = True,
        limit: Limit = 100,
    ) -> Obstructions:
        return await forking.obstructions(node, thread, limit, resolved=resolved)

    @router.get("/obstructions/{obstruction}", summary="One obstruction with both sides")
    async def obstruction(obstruction: str) -> Obstruction:
        return await forking.obstruction(node, obstruction)

    @router.post(
        "/obstructions/{obstruction}/resolution",
        response_model=RecordApplied,
        responses={**answers},
        openapi_extra=body_of(ResolutionAsked),
        summary="Resolve an obstruction",
    )
    async def resolve(obstruction: str, request: Request, seconds: Seconds = None) -> Response:
        asked = await read_body(request, ResolutionAsked, limits)
        longest = bounded_seconds(seconds, limits)
        return _response(
            await forking.resolve(node, limits, asker(asked), obstruction, asked.keep, asked.reason, longest)
        )

    return router


def body_of(model: type[Asking]) -> dict[str, object]:
    """What OpenAPI says of a body that is read by hand."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


async def read_body(request: Request, model: type[_B], limits: Limits) -> _B:
    """The body as `model`. Errors: `payload_too_large`, `payload_invalid`."""
    body = await bounded_body(request, limits)
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        sentence = "send the JSON object that /openapi.json describes; the witness names what is wrong"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, problems=problems(error)) from error


def asker(asked: Asking) -> Asker:
    """Who asks, as the body says."""
    return Asker(asked.source, asked.id, asked.principal)


def _response(answer: Asked | StepRefused) -> JSONResponse:
    if isinstance(answer, StepRefused):
        return refused_response(answer)
    if answer.applied is None:
        return accepted_response(answer.accepted)
    return JSONResponse(answer.applied.model_dump(mode="json"))
