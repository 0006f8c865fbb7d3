"""A thread told as it happens, from the feeds of its node."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.algebra.identity import hash_of
from relmachine.kernel.follow_ups import FOLLOW_UP_SOURCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from rich.console import Console

    from relmachine.kernel.answer import Pass
    from relmachine.node.node import Node
    from relmachine.store.reading import RunView
    from relmachine.stream.follow import FeedMessage

_SOURCE = "urn:relm:demo"
_SHOWN_CHARACTERS = 100
_ENDS = ("committed", "refused")


@asynccontextmanager
async def telling(node: Node, thread: str, console: Console) -> AsyncGenerator[Story]:
    """The story of a thread that is about to begin."""
    async with node.stream.follow("journal", thread, after=0) as journal:
        yield Story(node, thread, console, journal)


class Story:
    """Publishes steps of one thread, and prints what becomes of all that are published there."""

    def __init__(self, node: Node, thread: str, console: Console, journal: AsyncIterator[FeedMessage]) -> None:
        self.thread = thread
        self._node, self._console, self._journal = node, console, journal
        self._principals: list[str] = []
        self._steps: dict[str, str] = {}
        self._ended: Counter[str] = Counter()

    async def publish(self, principal: str, step: str, data: Mapping[str, object]) -> None:
        """Publish a step in the name of `principal`."""
        self._principals.append(principal)
        head = {"specversion": "1.0", "source": _SOURCE, "id": f"{self.thread}/{len(self._principals)}", "type": step}
        await self._node.submit(self.thread, [orjson.dumps({**head, "principal": principal, "data": data})])

    async def until(self, step: str) -> bool:
        """Tell what happens until `step` is committed; False when a step is refused before."""
        async for message in self._journal:
            outcomes = cast("list[dict[str, object]]", orjson.loads(message.body)["outcomes"])
            for outcome in outcomes:
                await self._tell(outcome)
            if any(found["outcome"] == "refused" for found in outcomes):
                return False
            if any((found["step"], found["outcome"]) == (step, "committed") for found in outcomes):
                return True
        raise AssertionError("a feed is followed for as long as it is read")

    def counts(self) -> dict[str, int]:
        """How many steps were committed and refused."""
        return {name: self._ended[name] for name in _ENDS}

    async def passes(self) -> dict[str, str]:
        """What each pass of the runs of a step decided, by step."""
        return {run.line.step: " ".join(one.decision for one in run.attempts[-1].passes) for run in await self._runs()}

    async def proposed_by(self, step: str) -> int:
        """How many steps the runs of a step proposed."""
        runs = [run for run in await self._runs() if run.line.step == step]
        return sum(len(attempt.follow_ups) for run in runs for attempt in run.attempts)

    async def stand(self) -> dict[str, str]:
        """Print where the claims stand, and why; give where."""
        from relmachine.cli.standings import standings

        found = await standings(self._node.store, self.thread)
        self._console.print(found.table())
        return {line.claim: str(line.standing) for line in found.claims}

    async def explain(self, claim: str) -> None:
        """Print why a claim stands as it does."""
        from relmachine.cli.why import explained, print_why

        print_why(self._console, *await explained(self._node.store, self.thread, claim))

    async def transitions(self, claim: str, kind: str) -> dict[str, str]:
        """Print what settled and what was superseded, as the feed says up to this transition; the kinds by claim."""
        kinds: dict[str, str] = {}
        async with self._node.stream.follow("out", self.thread, after=0) as feed:
            async for message in feed:
                for told in cast("list[dict[str, object]]", orjson.loads(message.body)["transitions"]):
                    name = str(told["claim"])
                    kinds[name] = f"{kinds.get(name, '')} {told['kind']}".strip()
                    self._console.print(f"{told['seq']:>4}  {told['kind']:<11} {name}")
                if kinds.get(claim, "").endswith(kind):
                    break
        return kinds

    async def _tell(self, outcome: Mapping[str, object]) -> None:
        at, step, what = cast(int, outcome["at"]), str(outcome["step"]), str(outcome["outcome"])
        if what in _ENDS:
            self._ended[what] += 1
        if "event" in outcome:
            self._steps[hash_of(str(outcome["event"]))] = step
        if "request" in outcome:
            await self._tell_run(cast(int, outcome["request"]), at)
        why = {"opened": ": it runs outside its turn", "refused": f": {outcome.get('sentence')}"}.get(what, "")
        who = f"the run of {outcome['request']}" if "request" in outcome else self._who(str(outcome["key"]))
        self._print(f"{at:>4}  {who:<18} {step:<14} {what}{why}")

    async def _tell_run(self, request: int, answered: int) -> None:
        from relmachine.store import reading

        run = await reading.run(self._node.store, self.thread, request)
        for attempt in run.attempts:
            if attempt.answered == answered:
                for item in attempt.passes:
                    self._print(f"      pass {item.number + 1}             {item.decision:<14} {_gist(item)}")
                line = run.line
                spent = f"{line.model_calls} model calls, {line.tool_calls} tool calls, {line.tokens} tokens"
                self._print(f"      ended              {attempt.reason:<14} {spent}")

    def _who(self, key: str) -> str:
        source, identity = cast("list[str]", orjson.loads(key))
        head, _, place = identity.rpartition("/")
        return f"after {self._steps[head]}" if source == FOLLOW_UP_SOURCE else self._principals[int(place) - 1]

    async def _runs(self) -> list[RunView]:
        from relmachine.store import reading

        store = self._node.store
        return [await reading.run(store, self.thread, one.request) for one in await reading.runs(store, self.thread)]

    def _print(self, line: str) -> None:
        from relmachine.cli.output import cell

        self._console.print(cell(line), soft_wrap=True)


def _gist(item: Pass) -> str:
    """What a pass was about: the tools it called, what was wrong, or what it answered."""
    text = item.tool or item.error or item.output
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
