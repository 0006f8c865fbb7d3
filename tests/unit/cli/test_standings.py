"""Goal: how every claim of a thread stands is told with its reason. Method: one machine, every way to stand."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from rich.console import Console

from relmachine.cli.standings import Standings, standings
from relmachine.machine import Machine
from relmachine.store.sqlite import SqliteStore
from tests.unit.observe.stored_node import StoredNode, event


def _machine() -> Machine:
    machine = Machine("desk")
    received = machine.claim("received")
    checked = machine.claim("checked", requires=[received])
    sent = machine.claim("sent", requires=[checked])
    machine.claim("filed", requires=[received])
    opinion = machine.claim("opinion", requires=[received])
    rush = machine.claim("rush")
    machine.step("receive", kind="process", asserts=[received])
    machine.step("check", kind="process", asserts=[checked])
    machine.step("send", kind="process", asserts=[sent])
    machine.step("file", kind="process", asserts=["filed"])
    machine.step("judge", kind="derivation", asserts=[opinion])
    machine.step("hurry", kind="process", asserts=[rush])
    machine.step("recheck", kind="process", contests=[checked])
    machine.step("forbid", kind="process", vetoes=[rush])
    return machine


async def _standings(folder: Path, steps: str) -> Standings:
    plan = _machine().plan()
    store = SqliteStore.open(folder / "store.db", plan)
    try:
        node = StoredNode(plan, store)
        await node.decide("t", *(event(step, str(place)) for place, step in enumerate(steps.split())))
        return await standings(store, "t")
    finally:
        await store.close()


def _told(found: Standings) -> dict[str, str]:
    text = io.StringIO()
    Console(file=text, width=160).print(found.table())
    rows = (line.split(maxsplit=1) for line in text.getvalue().splitlines() if line.strip() and "─" not in line)
    return {name: " ".join(rest.split()) for name, rest in (row for row in rows if len(row) == 2)}


def test_every_way_to_stand_has_its_reason(tmp_path: Path) -> None:
    found = asyncio.run(_standings(tmp_path, "receive check send judge hurry recheck forbid"))
    told = _told(found)
    assert told["received"] == "settled asserted by receive@1 (anonymous)"
    assert told["opinion"] == "effective asserted by judge@4 (anonymous); it holds, and may still be taken back"
    assert told["checked"] == (
        "contested contested by recheck@6 (anonymous), after check@2 (anonymous) asserted it"
        "; it had settled, and was superseded at 6"
    )
    assert told["sent"] == (
        "unsupported asserted by send@3 (anonymous), but checked is contested; it had settled, and was superseded at 6"
    )
    assert told["rush"] == "vetoed vetoed by forbid@7 (anonymous)"
    assert told["filed"] == "absent no step has asserted it"


def test_what_others_rest_on_comes_first_and_json_says_the_same(tmp_path: Path) -> None:
    found = asyncio.run(_standings(tmp_path, "receive check recheck"))
    names = [line["claim"] for line in found.as_json()]
    assert names.index("received") < names.index("checked") < names.index("sent")
    (checked,) = [line for line in found.as_json() if line["claim"] == "checked"]
    assert (checked["standing"], checked["superseded"], checked["requires"]) == ("contested", 3, ("received",))


def test_a_claim_that_settled_again_is_not_superseded(tmp_path: Path) -> None:
    found = asyncio.run(_standings(tmp_path, "receive check recheck check"))
    assert "superseded" not in _told(found)["checked"]
    assert found.superseded == {}
