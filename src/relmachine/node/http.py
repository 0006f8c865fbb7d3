"""The node's HTTP application: publishing, asking, the status page at `/`, the MCP server at `/mcp/`."""

from __future__ import annotations

from fastapi import FastAPI

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.observe.http_control import control_router
from relmachine.observe.http_errors import answer_errors
from relmachine.observe.http_forking import forking_router
from relmachine.observe.http_guard import BrowserGuard
from relmachine.observe.http_reading import node_router, threads_router
from relmachine.observe.http_steps import steps_router
from relmachine.observe.mcp import build_mcp
from relmachine.observe.port import Controls, NodeView
from relmachine.version import __version__


def build_control_app(lane: Controls, plan: Plan, limits: Limits) -> FastAPI:
    """The control lane alone, for the lane's own thread: it answers while the node's loop has its hands full."""
    app = FastAPI(title=f"relmachine control: {plan.machine}", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(BrowserGuard)
    answer_errors(app)
    app.include_router(control_router(lane, limits))
    return app


def build_app(node: NodeView, limits: Limits | None = None) -> FastAPI:
    """The application for `node`. Its lifespan runs the MCP server's; it starts and stops nothing else."""
    bounds = limits or Limits()
    # Stateless: a call may reach any node. Host and origin are checked for the whole application, below.
    mcp = build_mcp(node, bounds).http_app(path="/", stateless_http=True, host_origin_protection=False)
    app = FastAPI(
        title=f"relmachine: {node.plan.machine}",
        version=__version__,
        summary="Publish steps; ask what is settled, and why.",
        lifespan=mcp.lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BrowserGuard)
    answer_errors(app)
    app.include_router(steps_router(node, bounds))
    app.include_router(forking_router(node, bounds))
    app.include_router(control_router(node, bounds))
    app.include_router(threads_router(node))
    app.include_router(node_router(node))
    app.mount("/mcp", mcp)
    return app
