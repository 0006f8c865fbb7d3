"""The loop of an agent as a LangGraph graph: decide, invoke, evaluate, until something ends it.

There is no checkpointer: the recorder is what makes a run durable.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from relmachine.engine.runs.ended import RunEnded
from relmachine.engine.runs.reading import Answered, Calls
from relmachine.engine.runs.talk import Talk

_SUPER_STEPS_PER_PASS = 3


async def converse(talk: Talk, passes: int) -> object:
    """What the output of the conversation is taken for, after at most `passes` passes. Raises `RunEnded`."""
    await _graph().ainvoke({"talk": talk}, {"recursion_limit": _SUPER_STEPS_PER_PASS * (passes + 2)})
    if talk.over is not None:
        raise talk.over
    assert isinstance(talk.turn, Answered), "a conversation ends with an output, or the run ends"
    return talk.turn.taken


class _State(TypedDict):
    talk: Talk


async def _decide(state: _State) -> None:
    with _ending(state["talk"]):
        await state["talk"].decide()


async def _invoke(state: _State) -> None:
    with _ending(state["talk"]):
        await state["talk"].invoke()


async def _evaluate(state: _State) -> None:
    with _ending(state["talk"]):
        state["talk"].evaluate()


@contextmanager
def _ending(talk: Talk) -> Generator[None]:
    """The end of the run is a value inside the graph, which knows only errors."""
    try:
        yield
    except RunEnded as ended:
        talk.over = ended


# The ways are coroutines too: LangGraph would send plain functions to a thread.
async def _after_decide(state: _State) -> str:
    if state["talk"].over is not None:
        return END
    return "invoke" if isinstance(state["talk"].turn, Calls) else "evaluate"


async def _after_invoke(state: _State) -> str:
    return END if state["talk"].over is not None else "evaluate"


async def _after_evaluate(state: _State) -> str:
    return END if state["talk"].over is not None or isinstance(state["talk"].turn, Answered) else "decide"


@lru_cache(maxsize=1)
def _graph() -> Any:
    builder: Any = StateGraph(_State)
    builder.add_node("decide", _decide)
    builder.add_node("invoke", _invoke)
    builder.add_node("evaluate", _evaluate)
    builder.add_edge(START, "decide")
    builder.add_conditional_edges("decide", _after_decide, ["invoke", "evaluate", END])
    builder.add_conditional_edges("invoke", _after_invoke, ["evaluate", END])
    builder.add_conditional_edges("evaluate", _after_evaluate, ["decide", END])
    return builder.compile()
