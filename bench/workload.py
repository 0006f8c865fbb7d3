"""Workload W: threads of steps of about 500 bytes, seeded; what the gates should say of each is known beforehand."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from bench.machine import CHAINS, CONTESTED, GRANTED, machine

START = datetime(2026, 1, 1, tzinfo=UTC)
CONTESTS_DRAWN = 0.245
"""Chance that a step contests when something stands that can be contested: it gives 20 % contests over all."""

REFUSED_BY_SHAPE = REFUSED_BY_POLICY = 0.0105
REFUSED_BY_LAWS_DRAWN = 0.017
"""Chance of an illegal step, when there is one: it gives 1 % over all."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz "


@dataclass(frozen=True, slots=True)
class Work:
    """One step to publish. `expected` is `committed`, or the code of the refusal."""

    thread: str
    step: str
    body: bytes
    expected: str


def workload(threads: int, per_thread: int, seed: int = 1) -> list[Work]:
    """`threads` threads of `per_thread` steps each, round robin, as a stream would see them."""
    lanes = [_lane(f"{seed}-{number}", per_thread, random.Random(f"{seed}/{number}")) for number in range(threads)]
    return [lane[index] for index in range(per_thread) for lane in lanes]


def expectations(work: list[Work]) -> Counter[str]:
    """How many steps end in which way."""
    return Counter(item.expected for item in work)


def independent_neighbours(work: list[Work]) -> float:
    """Share of neighbouring steps of one thread that are independent of each other."""
    plan = machine().plan()
    last: dict[str, int] = {}
    independent = pairs = 0
    for item in work:
        step = plan.step_index[item.step]
        if item.thread in last:
            pairs += 1
            independent += not plan.dependent[last[item.thread]] >> step & 1
        last[item.thread] = step
    return independent / pairs


def _lane(thread: str, count: int, rng: random.Random) -> list[Work]:
    """One thread. Chains grow level by level; what is contested is asserted again before anything rests on it."""
    standing: set[str] = set()
    lane: list[Work] = []
    for index in range(count):
        fate = rng.random()
        step, expected = _legal(standing, rng), "committed"
        if fate < REFUSED_BY_SHAPE:
            expected = "payload_invalid"
        elif fate < REFUSED_BY_SHAPE + REFUSED_BY_POLICY:
            expected = "policy_denied"
        elif fate > 1 - REFUSED_BY_LAWS_DRAWN and (illegal := _illegal(standing)) is not None:
            step, expected = illegal, "requires"
        elif step.startswith("undo_"):
            standing.discard(step.removeprefix("undo_"))
        else:
            standing.add(step.removeprefix("do_"))
        lane.append(Work(thread, step, _body(thread, index, step, expected, rng), expected))
    return lane


def _legal(standing: set[str], rng: random.Random) -> str:
    contestable = [name for name in CONTESTED if name in standing]
    if contestable and rng.random() < CONTESTS_DRAWN:
        return f"undo_{rng.choice(contestable)}"
    open_claims = [
        f"{chain}{level}"
        for chain, depth in CHAINS.items()
        for level in range(1, depth + 1)
        if _below(chain, level) <= standing
    ]
    return f"do_{rng.choice(open_claims)}"


def _illegal(standing: set[str]) -> str | None:
    """A step whose prerequisite does not stand."""
    for chain, depth in CHAINS.items():
        for level in range(2, depth + 1):
            if not _below(chain, level) <= standing:
                return f"do_{chain}{level}"
    return None


def _below(chain: str, level: int) -> set[str]:
    return {f"{chain}{lower}" for lower in range(1, level)}


def _body(thread: str, index: int, step: str, expected: str, rng: random.Random) -> bytes:
    data: dict[str, object] = {
        "actor": rng.choice(GRANTED),
        "at": (START + timedelta(seconds=index, milliseconds=rng.randrange(1000))).isoformat(timespec="milliseconds"),
        "amount": rng.randrange(10_000),
        "note": "".join(rng.choices(_LETTERS, k=260)),
        "ref": f"{rng.getrandbits(128):032x}",
        "region": rng.choice(("north", "south", "east", "west")),
    }
    if step == "do_c1":
        data["kind"] = "regular"
    if expected == "payload_invalid":
        data["amount"] = "much"
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{thread}/{index}",
            "source": "urn:relm:bench",
            "type": step,
            "principal": "mallory" if expected == "policy_denied" else data["actor"],
            "data": data,
        }
    )
