"""Control over HTTP: one question in, where it took hold out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from relmachine.kernel.limits import Limits
from relmachine.observe.answers import StepRefused
from relmachine.observe.controlling import ControlAccepted, ControlAsked, ControlTold, tell
from relmachine.observe.http_errors import ERRORS
from relmachine.observe.http_forking import Seconds, ThreadName, asker, body_of, read_body
from relmachine.observe.http_steps import bounded_seconds, refused_response
from relmachine.observe.port import Controls


def control_router(node: Controls, limits: Limits) -> APIRouter:
    """`POST /threads/{thread}/control`."""
    router = APIRouter(tags=["control"], responses=ERRORS)

    @router.post(
        "/threads/{thread}/control",
        response_model=ControlTold,
        responses={
            202: {"model": ControlAccepted, "description": "On the control stream, without effect within the wait"},
            403: {"model": StepRefused, "description": "Policy refuses it"},
        },
        openapi_extra=body_of(ControlAsked),
        summary="Cancel, pause, resume or close a thread, or give it a budget",
    )
    async def control(thread: ThreadName, request: Request, seconds: Seconds = None) -> Response:
        asked = await read_body(request, ControlAsked, limits)
        longest = bounded_seconds(seconds, limits)
        answer = await tell(node, limits, asker(asked), thread, asked.record, asked.payload(), longest)
        if isinstance(answer, StepRefused):
            return refused_response(answer)
        status = 202 if isinstance(answer, ControlAccepted) else 200
        return JSONResponse(answer.model_dump(mode="json"), status)

    return router
