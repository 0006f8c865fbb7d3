"""The node as an MCP server: publish a step, ask what is settled and why, compute with histories and fibers."""

from __future__ import annotations

from fastmcp import FastMCP

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.observe import asking
from relmachine.observe.mcp_control import add_control
from relmachine.observe.mcp_errors import CodedArguments, coded_resource
from relmachine.observe.mcp_forking import add_forking
from relmachine.observe.mcp_tools import add_algebra, add_publish, add_reading
from relmachine.observe.port import NodeView
from relmachine.version import __version__


def build_mcp(node: NodeView, limits: Limits | None = None) -> FastMCP:
    """The server of `node`. Errors come back as tool errors: `code: sentence`, and the same in structured form."""
    server: FastMCP = FastMCP(
        f"relmachine {node.plan.machine}",
        instructions=_instructions(node.plan),
        version=__version__,
        middleware=[CodedArguments()],
    )
    add_publish(server, node, limits or Limits())
    add_algebra(server, node)
    add_reading(server, node)
    add_forking(server, node, limits or Limits())
    add_control(server, node, limits or Limits())
    _add_sections(server, node)
    return server


def _instructions(plan: Plan) -> str:
    return (
        f"This node runs the machine {plan.machine!r}, version {plan.version}. Agents publish steps on threads; gates "
        "admit only what the machine's laws allow; what is proven consistent and can no longer be taken back settles. "
        f"Steps: {', '.join(sorted(plan.step_index))}. Claims: {', '.join(sorted(plan.claim_index))}. "
        "Errors begin with a code and say what to do."
    )


def _add_sections(server: FastMCP, node: NodeView) -> None:
    @server.resource(
        "section://{machine}/{thread}",
        title="Section of a thread",
        mime_type="application/json",
    )
    @coded_resource
    async def section(machine: str, thread: str) -> str:
        """The values of a thread's fields at present, as the tool `section` answers them."""
        if machine != node.plan.machine:
            sentence = f"this node runs {node.plan.machine!r}: ask the node that runs {machine!r}"
            raise RelmError(Code.MACHINE_MISMATCH, sentence, expected=node.plan.machine, found=machine)
        return (await asking.section(node, thread)).model_dump_json()
