"""Asking over HTTP: threads, sections, claims, refused steps, and the node itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from relmachine.observe import asking
from relmachine.observe.answers import Health
from relmachine.observe.answers_lag import Lag
from relmachine.observe.answers_reading import (
    Events,
    Rejections,
    Section,
    Settled,
    Status,
    Thread,
    Threads,
    Why,
)
from relmachine.observe.answers_runs import Run, Runs
from relmachine.observe.api_page import render_api
from relmachine.observe.figures import Figures
from relmachine.observe.html import HEADERS
from relmachine.observe.http_errors import ERRORS
from relmachine.observe.lag import LISTED
from relmachine.observe.overview import overview
from relmachine.observe.page import render
from relmachine.observe.port import NodeView

READY_PHASES = ("READY", "WORKING")
"""Phases in which a node takes steps."""

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most")]
ThreadName = Annotated[str, Path(description="The thread's token")]
After = Annotated[int, Query(ge=0, le=asking.SEQUENCE_MAX, description="Stream sequence to start after")]
Before = Annotated[int | None, Query(ge=1, le=asking.SEQUENCE_MAX, description="Stream sequence to end before")]
Named = Annotated[list[str] | None, Query(description="Tokens of threads to ask about, instead of those that lag most")]
Lagging = Annotated[int, Query(ge=0, description="How many threads at most")]
RequestAt = Annotated[int, Path(ge=1, le=asking.SEQUENCE_MAX, description="Stream sequence of the run's step")]
At = Annotated[str | None, Query(description="Stream sequence or history id; absent for the present")]


def threads_router(node: NodeView) -> APIRouter:
    """What is in the store."""
    router = APIRouter(tags=["reading"], responses=ERRORS)

    @router.get("/threads", summary="The threads, by token")
    async def threads(after: Annotated[str, Query(max_length=600)] = "", limit: Limit = 100) -> Threads:
        return await asking.threads(node, after, limit)

    @router.get("/threads/{thread}", summary="Where a thread stands")
    async def thread(thread: ThreadName) -> Thread:
        return await asking.thread(node, thread)

    @router.get("/threads/{thread}/events", summary="A thread's events in the order of the stream")
    async def events(thread: ThreadName, after: After = 0, limit: Limit = 100) -> Events:
        return await asking.events(node, thread, after, limit)

    @router.get("/threads/{thread}/section", summary="The fields' values, now or at a point")
    async def section(thread: ThreadName, at: At = None) -> Section:
        return await asking.section(node, thread, at)

    @router.get("/threads/{thread}/settled", summary="The claims that hold for good")
    async def settled(thread: ThreadName) -> Settled:
        return await asking.settled(node, thread)

    @router.get("/threads/{thread}/why/{claim}", summary="Why a claim holds or does not")
    async def why(thread: ThreadName, claim: str) -> Why:
        return await asking.why(node, thread, claim)

    @router.get("/threads/{thread}/runs", summary="Steps that ran, or run, outside their turn")
    async def runs(thread: ThreadName, after: After = 0, limit: Limit = 100) -> Runs:
        return await asking.runs(node, thread, after, limit)

    @router.get("/threads/{thread}/runs/{request}", summary="One run: what it was asked, saw and spent")
    async def run(thread: ThreadName, request: RequestAt) -> Run:
        return await asking.run(node, thread, request)

    @router.get("/rejected", summary="Refused steps, the newest first")
    async def rejected(thread: str | None = None, before: Before = None, limit: Limit = 100) -> Rejections:
        return await asking.rejections(node, thread, before, limit)

    return router


def node_router(node: NodeView) -> APIRouter:
    """The node itself, for programs and for people."""
    router = APIRouter(tags=["node"], responses=ERRORS)
    figures = Figures(node)

    @router.get("/health", response_model=Health, summary="Whether the node takes steps (503 when not)")
    async def health() -> Response:
        phase = str(node.status()["phase"])
        ready = phase in READY_PHASES
        return JSONResponse(Health(ready=ready, phase=phase).model_dump(), 200 if ready else 503)

    @router.get("/status.json", summary="The node, its lag, and the figures over its store")
    async def status() -> Status:
        counted = await figures.read()
        lag = await asking.lag_if_known(node)
        return Status(node=dict(node.status()), lag=lag, figures=None if counted is None else dict(counted))

    @router.get("/lag", summary="How far behind the stream the lanes are, and the threads that lag most")
    async def lag(thread: Named = None, limit: Lagging = LISTED) -> Lag:
        return await asking.lag(node, thread or (), limit)

    @router.get("/", response_class=HTMLResponse, summary="The status page")
    async def page() -> HTMLResponse:
        return HTMLResponse(render(await overview(node, await figures.read())), headers=HEADERS)

    @router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(render_api(request.app.openapi()), headers=HEADERS)

    return router
