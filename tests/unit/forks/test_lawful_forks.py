"""Goal: laws of the author's own decide in forks and after a merge as in one thread. Method: random machines with such
laws; a thread by several principals split by random into two continuations, published on a fork and merged, with more
steps after that; the same steps on one thread in another store; whole rounds, and verification of both."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import cast

import pytest

from relmachine.gates.own_law_process import LawProcess
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.machine.plan import Plan
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.unit.forks.splitting import split
from tests.unit.forks.workshop import Workshop
from tests.unit.gates.machines_at_random import Published
from tests.unit.gates.own_laws_at_random import by_several, crowded_plan, lawful_plan_and_thread

SPLITS = 3
"""Threads of one machine, each with its fork."""


@pytest.fixture(scope="module")
def process() -> Iterator[LawProcess]:
    one = LawProcess(Limits())
    yield one
    one.close()


def publish(workshop: Workshop, thread: str, steps: Sequence[Published], tag: str) -> int:
    """Publish the steps on `thread`, under keys that `tag` tells apart; returns the last sequence."""
    sequence = 0
    for step in steps:
        data = {name: json.loads(text) for name, text in step.contributions}
        body = workshop.body(step.step, f"{tag} {step.key}", data, step.principal)
        sequence = workshop.stream.publish(thread, step.step, body)
    return sequence


async def decisions(store: SqliteStore, thread: str) -> Mapping[str, str]:
    """By step key the event of an admitted step, and the code of a refused one, of the thread and its fork."""
    found: dict[str, str] = {}
    asked = "SELECT step_key, outcome FROM receipts WHERE thread IN (?, ?) AND step NOT LIKE '\\_%' ESCAPE '\\'"
    for key, text in cast("list[tuple[str, str]]", await store.deciding(asked, (thread, f"{thread}~"))):
        outcome = json.loads(text)
        said = outcome.get("event") or outcome["code"]
        assert found.setdefault(key, said) == said, "a joined event is the fork's own"
    return found


async def compared(
    plan: Plan, threads: Sequence[Sequence[Published]], seed: int, at: Path, process: LawProcess
) -> Counter[str]:
    """Each thread split, forked and merged, against the same in one piece; what was decided."""
    rng, seen = Random(seed), Counter[str]()
    stores = [SqliteStore.open(at / f"{seed}-{name}.db", plan) for name in ("forked", "whole")]
    forked, whole = (Workshop(plan, store, process=process) for store in stores)
    try:
        cuts = {}
        for number, steps in enumerate(threads):
            name, after = f"t{number}", by_several(rng, plan)
            prefix, one, other = split(plan, steps, lambda step: step.step, rng)
            cuts[name] = (publish(forked, name, prefix, "a"), one, other, after)
            publish(whole, name, [*prefix, *one, *other], "a")
            publish(whole, name, after, "b")
        await forked.settle()
        await whole.settle()
        merges: dict[str, int] = {}
        for name, (last, one, other, _) in cuts.items():
            head = await forked.head(name) if last else initial_state(plan, name).head
            forked.fork(f"{name}~", name, head, last)
            publish(forked, name, one, "a")
            publish(forked, f"{name}~", other, "a")
            merges[name] = forked.merge(name, f"{name}~")
        await forked.settle(rng)
        for name, (_, _, other, after) in cuts.items():
            outcome = await forked.outcome(merges[name])
            assert outcome["outcome"] == "applied", (seed, name, outcome)
            seen["merged"] += len(other) > 0
            publish(forked, name, after, "b")
        await forked.settle(rng)
        for name in cuts:
            assert await decisions(stores[0], name) == await decisions(stores[1], name), (seed, name)
            assert await forked.head(name) == await whole.head(name), (seed, name)
            seen.update((await decisions(stores[0], name)).values())
        for store in stores:
            report = await verify(store)
            assert report.fault is None, (seed, report.fault)
    finally:
        for store in stores:
            await store.close()
    return seen


@pytest.mark.parametrize("first", [0, 1000])
def test_merged_forks_are_one_thread_to_laws_of_the_authors_own(
    first: int, tmp_path: Path, process: LawProcess
) -> None:
    seen, machines = Counter[str](), 0
    for seed in range(first, first + 40):
        rng = Random(seed)
        plan = crowded_plan(seed) if seed % 2 else lawful_plan_and_thread(seed)[0]
        if plan is None or any(step.computed for step in plan.steps):
            continue
        threads = [by_several(rng, plan) for _ in range(SPLITS)]
        seen += asyncio.run(compared(plan, threads, seed, tmp_path, process))
        machines += 1
        if machines == 6:
            break
    assert min(seen["law_broken"], seen["merged"]) > 5, seen
