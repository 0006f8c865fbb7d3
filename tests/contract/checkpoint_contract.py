"""Goal: LangGraph's checkpointer means the same on every database. Method: one class of tests, inherited per adapter:
LangGraph's own conformance suite, and graphs that are interrupted, branched, pruned and run by many at once."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from relmachine.checkpoints import Saver


class State(TypedDict):
    """Whom to ask, and what was said."""

    names: list[str]
    said: Annotated[list[str], operator.add]
    ruling: str


def graph() -> Any:
    """Asks everybody at once, then a person, then writes the ruling."""

    def ask(given: str) -> dict[str, object]:
        return {"said": [f"{given} agrees"]}

    def rule(state: State) -> dict[str, object]:
        return {"ruling": f"{interrupt('your ruling?')} after {len(state['said'])}"}

    builder: Any = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_node("rule", rule)
    builder.add_conditional_edges(START, lambda state: [Send("ask", name) for name in state["names"]], ["ask"])
    builder.add_edge("ask", "rule")
    builder.add_edge("rule", END)
    return builder


def of(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


class CheckpointContract:
    """Adapters say how a saver on the one database of the test is made."""

    def saver(self) -> Saver:
        """A saver, not open yet; each is another program on the same database."""
        raise NotImplementedError

    def test_the_conformance_suite_of_langgraph_passes(self) -> None:
        async def made() -> AsyncGenerator[Saver]:
            async with self.saver() as saver:
                yield saver

        async def test() -> None:
            report = await validate(checkpointer_test(name=uuid4().hex)(made))
            missing = {name for name, result in report.results.items() if not result.detected}
            assert missing == set()
            failures = {name: result.failures for name, result in report.results.items() if not result.passed}
            assert failures == {}
            tests = sum(result.tests_passed for result in report.results.values())
            print(f"{tests} tests of {len(report.results)} capabilities passed")
            assert tests >= 60

        asyncio.run(test())

    def test_another_program_goes_on_where_the_first_was_interrupted(self) -> None:
        thread = of(uuid4().hex)
        with self.saver() as saver:
            found = graph().compile(checkpointer=saver).invoke({"names": ["ann", "bob"]}, thread)
            assert found["said"] == ["ann agrees", "bob agrees"] and found["__interrupt__"][0].value == "your ruling?"
        with self.saver() as saver:
            found = graph().compile(checkpointer=saver).invoke(Command(resume="yes"), thread)
            assert found["ruling"] == "yes after 2"

    def test_synchronous_and_asynchronous_graphs_share_what_is_kept(self) -> None:
        thread = of(uuid4().hex)

        async def test() -> None:
            async with self.saver() as saver:
                made = graph().compile(checkpointer=saver)
                await made.ainvoke({"names": ["ann"]}, thread)
                assert (await asyncio.to_thread(made.invoke, Command(resume="no"), thread))["ruling"] == "no after 1"
                steps = [step async for step in made.aget_state_history(thread)]
                assert [step.metadata["step"] for step in steps] == [2, 1, 0, -1]
                assert steps == list(made.get_state_history(thread)), "also from the thread of a running loop"

        asyncio.run(test())

    def test_branches_of_one_checkpoint_keep_their_values_apart(self) -> None:
        thread = of(uuid4().hex)
        with self.saver() as saver:
            made = graph().compile(checkpointer=saver)
            made.invoke({"names": ["ann"]}, thread)
            (asked,) = [step for step in made.get_state_history(thread) if step.next == ("rule",)]
            branches = [made.update_state(asked.config, {"said": [word]}) for word in ("yes", "no")]
            assert [made.get_state(at).values["said"] for at in branches] == [
                ["ann agrees", "yes"],
                ["ann agrees", "no"],
            ]
            assert made.get_state(asked.config).values["said"] == ["ann agrees"]

    def test_many_threads_at_once(self) -> None:
        with self.saver() as saver, ThreadPoolExecutor(8) as pool:
            made = graph().compile(checkpointer=saver)
            threads = [of(uuid4().hex) for _ in range(24)]
            list(pool.map(lambda thread: made.invoke({"names": ["ann", "bob"]}, thread), threads))
            found = list(pool.map(lambda thread: made.invoke(Command(resume="yes"), thread), threads))
            assert [one["ruling"] for one in found] == ["yes after 2"] * 24

    def test_storing_twice_is_storing_once(self) -> None:
        thread = {"configurable": {"thread_id": uuid4().hex, "checkpoint_ns": ""}}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"a": [1], "b": {2}}
        checkpoint["channel_versions"] = {"a": "1", "b": "1"}
        with self.saver() as saver:
            for _ in range(2):
                at = saver.put(thread, checkpoint, {"step": 1}, {"a": "1", "b": "1", "gone": "1"})  # type: ignore[typeddict-item]
                saver.put_writes(at, [("a", 3), ("b", 4)], "task")
            saver.put_writes(at, [("a", "another value of a task that ran again")], "task")
            (found,) = saver.list(thread)  # type: ignore[arg-type]
            assert found.checkpoint["channel_values"] == {"a": [1], "b": {2}}
            assert found.pending_writes == [("task", "a", 3), ("task", "b", 4)]

    def test_writes_come_in_the_order_in_which_a_run_applies_them(self) -> None:
        thread: RunnableConfig = {"configurable": {"thread_id": uuid4().hex, "checkpoint_ns": ""}}
        with self.saver() as saver:
            at = saver.put(thread, empty_checkpoint(), {}, {})
            for task, path in (("one", "2"), ("two", "1"), ("zero", "2"), ("three", "")):
                saver.put_writes(at, [("a", task), ("b", task)], task, path)
            found = saver.get_tuple(at)
            assert found is not None and found.pending_writes is not None
            order = ["three", "two", "one", "zero"]
            assert [(task, channel) for task, channel, _ in found.pending_writes] == [
                (t, c) for t in order for c in "ab"
            ]

    def test_a_search_goes_over_pages_and_threads(self) -> None:
        tag, count = uuid4().hex, 75
        with self.saver() as saver:
            ids: list[str] = []
            for number in range(count):
                checkpoint = empty_checkpoint()
                ids.append(checkpoint["id"])
                metadata: Any = {"step": number, "tag": tag, "odd": bool(number % 2)}
                saver.put(of(f"{tag}-{number % 3}"), checkpoint, metadata, {})
            every = [found.checkpoint["id"] for found in saver.list(None, filter={"tag": tag})]
            assert every == ids[::-1]
            odd = saver.list(None, filter={"tag": tag, "odd": True}, limit=30)
            assert [found.checkpoint["id"] for found in odd] == ids[1::2][::-1][:30]
            old = saver.list(of(f"{tag}-0"), before={"configurable": {"checkpoint_id": ids[30]}}, limit=4)
            assert [found.checkpoint["id"] for found in old] == ids[27:17:-3]
            assert list(saver.list(None, limit=0)) == []

    def test_pruning_keeps_what_the_latest_deltas_rest_on(self) -> None:
        """The value was whole in the second checkpoint; the two after it wrote what the fourth is made of."""
        thread, namespace = uuid4().hex, {"checkpoint_ns": ""}
        with self.saver() as saver:
            at: RunnableConfig = {"configurable": {"thread_id": thread, **namespace}}
            made: list[RunnableConfig] = []
            for number in range(4):
                checkpoint = empty_checkpoint()
                checkpoint["channel_versions"] = {"log": f"{number}"}
                checkpoint["channel_values"] = {"log": ["whole"]} if number == 1 else {}
                metadata: Any = {"step": number, "counters_since_delta_snapshot": {"log": (number, number)}}
                at = saver.put(at, checkpoint, metadata, {"log": f"{number}"})
                saver.put_writes(at, [("log", f"after {number}")], "task")
                made.append(at)
            before = saver.get_delta_channel_history(config=made[3], channels=["log"])
            saver.prune([thread])
            assert [found.config for found in saver.list(of(thread))] == made[:0:-1]
            assert saver.get_delta_channel_history(config=made[3], channels=["log"]) == before
            assert before["log"]["seed"] == ["whole"] and len(before["log"]["writes"]) == 2

    def test_it_has_to_be_open(self) -> None:
        saver = self.saver()
        with pytest.raises(RuntimeError, match="open the saver first"):
            saver.get_tuple(of("t"))
        with saver, pytest.raises(RuntimeError, match="open already"), saver:
            pass
