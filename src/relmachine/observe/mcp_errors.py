"""Errors of MCP tools and resources: the same {code, sentence, witness} as everywhere, in a form a model can read."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import pydantic
from fastmcp.exceptions import ResourceError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp_types import CallToolRequestParams

from relmachine.errors import Code, RelmError
from relmachine.kernel.problems import problems
from relmachine.observe.answers import Problem

P = ParamSpec("P")
R = TypeVar("R")


class ProblemError(Exception):
    """A problem that is an answer already, on its way out of a tool."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(_text(problem))
        self.problem = problem


def tool_error(problem: Problem) -> ToolResult:
    """A tool error: `code: sentence`, then the witness, as text; the whole of it as structured content."""
    return ToolResult(content=_text(problem), structured_content=problem.model_dump(mode="json"), is_error=True)


def coded(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """`tool`, with a `RelmError` it raises turned into a tool error.

    FastMCP would report the exception as a failure of the tool and log its trace, though the tool did its work.
    """

    @functools.wraps(tool)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await tool(*args, **kwargs)
        except RelmError as error:
            return _as_answer(problem_of(error))
        except ProblemError as error:
            return _as_answer(error.problem)

    def _as_answer(problem: Problem) -> R:
        # FastMCP takes a ToolResult from any tool; the tool's own type stays what its output schema says.
        return cast(R, tool_error(problem))

    return answer


def coded_resource(resource: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """`resource`, with a `RelmError` it raises turned into a resource error of the same text."""

    @functools.wraps(resource)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await resource(*args, **kwargs)
        except RelmError as error:
            raise ResourceError(_text(problem_of(error)), log_level=logging.DEBUG) from error

    return answer


class CodedArguments(Middleware):
    """Arguments that do not fit a tool's input schema are a coded error too."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the tool; answer `query_refused` with what is wrong when its arguments do not validate."""
        try:
            return await call_next(context)
        except ValidationError as error:
            cause = error.__cause__
            found = problems(cause) if isinstance(cause, pydantic.ValidationError) else [str(error)]
            sentence = f"call {context.message.name} with the arguments its input schema names"
            return tool_error(Problem(code=Code.QUERY_REFUSED, sentence=sentence, witness={"problems": found}))


def problem_of(error: RelmError) -> Problem:
    """`error` as an answer."""
    return Problem(code=error.code, sentence=error.sentence, witness=dict(error.witness))


def _text(problem: Problem) -> str:
    headline = f"{problem.code}: {problem.sentence}"
    witness: Mapping[str, Any] = problem.model_dump(mode="json")["witness"]
    return f"{headline}\nwitness: {json.dumps(witness, ensure_ascii=False)}" if witness else headline
