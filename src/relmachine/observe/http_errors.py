"""Every error over HTTP has one shape, {code, sentence, witness}, and its status from one table."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from relmachine.errors import Code, RelmError
from relmachine.observe.answers import Problem

_log = structlog.get_logger(__name__)

STATUS: dict[Code, int] = {
    # what was sent cannot be read
    Code.NOT_JSON: 400,
    Code.NUMBER_INVALID: 400,
    Code.TEXT_INVALID: 400,
    Code.PAYLOAD_TOO_DEEP: 400,
    Code.THREAD_NAME_INVALID: 400,
    Code.QUERY_REFUSED: 400,
    Code.PAYLOAD_TOO_LARGE: 413,
    # it can be read, but it is no step of this machine
    Code.ENVELOPE_INVALID: 422,
    Code.PAYLOAD_INVALID: 422,
    Code.UNKNOWN_STEP: 422,
    Code.THREAD_MISMATCH: 422,
    Code.MACHINE_MISMATCH: 422,
    Code.MACHINE_VERSION: 422,
    Code.SCHEMA_VERSION: 422,
    Code.OUTPUT_INVALID: 422,
    Code.CLOSURE_FAILED: 422,
    Code.UNDECLARED_READ: 422,
    Code.MACHINE_INVALID: 422,
    Code.LOG_TRUNCATED: 422,
    Code.LOG_INVALID: 422,
    Code.LOG_EMPTY: 422,
    # it is one, but may not be submitted
    Code.POLICY_DENIED: 403,
    # it may, but contradicts what the thread holds
    Code.ID_CONFLICT: 409,
    Code.REQUIRES: 409,
    Code.CONTEST_ABSENT: 409,
    Code.VETO_TOO_LATE: 409,
    Code.ONCE: 409,
    Code.LAW_VIOLATED: 409,
    Code.THREAD_NOT_NEW: 409,
    Code.THREAD_CLOSED: 409,
    Code.THREAD_CANCELLED: 409,
    Code.THREAD_PAUSED: 409,
    Code.HISTORY_MISMATCH: 409,
    Code.GENESIS_MISMATCH: 409,
    Code.MERGE_UNPAIRED: 409,
    Code.OBSTRUCTED: 409,
    Code.ALREADY_RESOLVED: 409,
    Code.LAW_BROKEN: 409,
    Code.LAW_LIMIT: 409,
    # runs
    Code.RUN_FAILED: 422,
    Code.RUN_CAP: 422,
    Code.RUN_STUCK: 422,
    Code.RUN_DIVERGED: 422,
    Code.BUDGET_SPENT: 422,
    Code.MODEL_UNBOUND: 422,
    Code.MODEL_FAILED: 422,
    Code.TOOL_FAILED: 422,
    Code.IMPURE: 422,
    Code.RUN_CANCELLED: 409,
    Code.RUN_OVERTAKEN: 409,
    Code.RUN_UNKNOWN: 409,
    Code.HELD_TOO_LONG: 409,
    Code.HELD_UNKNOWN: 409,
    # asking
    Code.NOT_FOUND: 404,
    Code.LIMIT_EXCEEDED: 429,
    # the node's own trouble
    Code.UNREACHABLE: 503,
    Code.OVERLOADED: 503,
    Code.SERVER_MISSING: 503,
    Code.SERVER_BUILD_FAILED: 500,
    Code.GRANTS_INVALID: 500,
    Code.POLICY_MISMATCH: 500,
    Code.STORE_SCHEMA_FUTURE: 500,
    Code.STORE_SCHEMA_PAST: 500,
    Code.STORE_MACHINE_MISMATCH: 500,
    Code.STORE_DAMAGED: 500,
    Code.TOPOLOGY_MISMATCH: 500,
    Code.STREAM_UNFIT: 500,
    Code.INTERNAL: 500,
}
"""HTTP status of each code."""

ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "model": Problem,
        "description": "What was asked cannot be given: the code says why, the sentence what to do",
    },
    "5XX": {"model": Problem, "description": "The node's own trouble"},
}
"""OpenAPI responses that every route shares."""


def problem(code: Code, sentence: str, witness: dict[str, object], status: int | None = None) -> JSONResponse:
    """The answer for an error; `status` only where HTTP itself asks for another than the table's. A witness that says
    when to come again says it as `Retry-After` too.
    """
    body = Problem(code=code, sentence=sentence, witness=witness)
    seconds = witness.get("retry_after_seconds")
    headers = None if seconds is None else {"Retry-After": str(seconds)}
    return JSONResponse(body.model_dump(mode="json"), STATUS[code] if status is None else status, headers)


def answer_errors(app: FastAPI) -> None:
    """Let `app` answer every error in the one shape, its own routing errors and bugs included."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RelmError)
        return problem(error.code, error.sentence, dict(error.witness))

    async def query(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        complaints = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        return problem(Code.QUERY_REFUSED, "change the parameters that the witness names", {"problems": complaints})

    async def routing(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = Code.NOT_FOUND if error.status_code in (404, 405) else Code.QUERY_REFUSED
        sentence = f"{error.detail}: see /openapi.json for what can be asked"
        asked: dict[str, object] = {"method": request.method, "path": request.url.path}
        return problem(code, sentence, asked, error.status_code)

    async def bug(request: Request, error: Exception) -> JSONResponse:
        _log.error("http.failed", path=request.url.path, exc_info=error)
        sentence = "the node failed at this request: its log has the cause"
        return problem(Code.INTERNAL, sentence, {"path": request.url.path, "error": type(error).__name__})

    app.add_exception_handler(RelmError, known)
    app.add_exception_handler(RequestValidationError, query)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, bug)
