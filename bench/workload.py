"""Workload W: threads of steps of about 500 bytes, seeded; what the gates should say of each is known beforehand."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from bench.machine import CHAINS, CONTESTED, GRANTED

START = datetime(2026, 1, 1, tzinfo=UTC)
CONTESTS = 0.2
REFUSED_PER_GATE = 0.01
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


def _lane(thread: str, count: int, rng: random.Random) -> list[Work]:
    """One thread. Chains grow level by level; what is contested is asserted again before anything rests on it."""
    standing: set[str] = set()
    lane: list[Work] = []
    for index in range(count):
        fate = rng.random()
        step, expected = _legal(standing, rng), "committed"
        if fate < REFUSED_PER_GATE:
            expected = "payload_invalid"
        elif fate < 2 * REFUSED_PER_GATE:
            expected = "policy_denied"
        elif fate < 3 * REFUSED_PER_GATE and (illegal := _illegal(standing)) is not None:
            step, expected = illegal, "requires"
        elif step.startswith("undo_"):
            standing.discard(step.removeprefix("undo_"))
        else:
            standing.add(step.removeprefix("do_"))
        lane.append(Work(thread, step, _body(thread, index, step, expected, rng), expected))
    return lane


def _legal(standing: set[str], rng: random.Random) -> str:
    contestable = [name for name in CONTESTED if name in standing]
    if contestable and rng.random() < CONTESTS * 1.15:
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
        "note": "".join(rng.choices(_LETTERS, k=150)),
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
