"""Goal: verification asks laws of the author's own again, and names a step that they decide otherwise. Method: stores
written turn by turn with decisions as the engine gives them, and with forged ones: an event that a law forbids, a
refusal that no law gives, a principal who was changed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relmachine.engine.turn import Case, Engine
from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.sightings import HotSightings
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, GateName, Refusal, Refused
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from relmachine.store.verify.whole import Report
from tests.unit.gates.own_law_desk import FOUR_EYES, desk, law

SMALL = law(
    'guards("determine"). reads(field,"amount").',
    'violation(S) :- S = #sum { V,E : value(E,"amount",V) }, value(this,"amount",_), S > 9.',
)
PLAN = desk(four_eyes=FOUR_EYES, small=SMALL).plan()
LIMITS = Limits()

Step = tuple[str, str, int]
STEPS: list[Step] = [
    ("receive", "ann", 4),
    ("check", "ann", 0),
    ("determine", "ann", 1),
    ("determine", "bob", 7),
    ("determine", "bob", 5),
    ("determine", "eve", 1),
]
CODES = [None, None, "law_broken", "law_broken", None, "law_broken"]


def candidate(sequence: int, step: Step, thread: str = "t") -> Candidate:
    name, principal, amount = step
    data: dict[str, object] = {"amount": amount} if amount else {}
    body = Envelope(id=str(sequence), source="s", type=name, data=data, principal=principal).wire()
    found = ShapeGate(PLAN, LIMITS).check(Message(sequence, thread, name, body))
    assert isinstance(found, Candidate), found
    return found


async def decided(store: SqliteStore, steps: Sequence[Step], per_turn: int, thread: str = "t") -> list[str | None]:
    """The steps in turns of `per_turn`, as a host takes them; their codes."""
    laws = OwnLaws(PLAN, LIMITS)
    engine, seen = Engine(PLAN, AdmissionGate(PLAN), LIMITS, laws), HotSightings(PLAN, store, LIMITS)
    codes: list[str | None] = []
    try:
        for start in range(0, len(steps), per_turn):
            state = (await store.states([thread])).get(thread) or initial_state(PLAN, thread)
            made = [
                candidate(start + place, step, thread)
                for place, step in enumerate(steps[start : start + per_turn], start=1)
            ]
            known = await seen.load({thread: state}, {thread: made})
            (found,) = await engine.decide([Case(state, made, seen=known.get(thread, ()))])
            proposal = advance(PLAN, state, found)
            await store.commit([proposal])
            seen.advance(proposal)
            codes += [str(item.refusal.code) if isinstance(item, Refused) else None for item in found]
    finally:
        laws.close()
    return codes


def verified(place: Path) -> Report:
    async def work() -> Report:
        store = SqliteStore.open(place, PLAN)
        try:
            return await verify(store)
        finally:
            await store.close()

    return asyncio.run(work())


async def forged(place: Path, *items: Admitted | Refused) -> None:
    store = SqliteStore.open(place, PLAN)
    await store.commit([advance(PLAN, initial_state(PLAN, "t"), items)])
    await store.close()


def test_what_the_engine_decided_is_right_however_turns_were_cut(tmp_path: Path) -> None:
    """Also that what laws see is kept between turns as the store has it: the codes are the same for every cut."""
    for per_turn in (1, 2, 6):
        place = tmp_path / f"{per_turn}.db"

        async def work(place: Path = place, per_turn: int = per_turn) -> None:
            store = SqliteStore.open(place, PLAN)
            for thread in ("t", "u"):
                assert await decided(store, STEPS, per_turn, thread) == CODES
            await store.close()

        asyncio.run(work())
        report = verified(place)
        assert report.ok, report.fault
        assert report.counts["rejections"] == 6


def test_an_event_that_a_law_forbids_is_named(tmp_path: Path) -> None:
    made = [candidate(number, step) for number, step in enumerate(STEPS[:3], start=1)]
    asyncio.run(forged(tmp_path / "store.db", *(Admitted(one, one.recorded) for one in made)))
    fault = verified(tmp_path / "store.db").fault
    assert fault is not None
    assert (fault.code, fault.sequence) == (Code.LAW_BROKEN, 3)
    assert "four_eyes" in fault.sentence


def test_a_refusal_that_no_law_gives_is_named(tmp_path: Path) -> None:
    made = [candidate(number, step) for number, step in enumerate(STEPS[:3], start=1)]
    last = replace(made[2], principal="bob")
    refusal = Refusal(Code.LAW_BROKEN, GateName.LAWS, "no", {"law": "four_eyes", "given": {"principal": "bob"}})
    first = [Admitted(one, one.recorded) for one in made[:2]]
    asyncio.run(forged(tmp_path / "store.db", *first, Refused(last, refusal)))
    fault = verified(tmp_path / "store.db").fault
    assert fault is not None
    assert fault.sequence == 3
    assert "admits the step" in fault.differs


def test_who_published_is_part_of_what_a_law_reads(tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    made = [candidate(number, step) for number, step in enumerate(STEPS[:2], start=1)]
    asyncio.run(forged(place, *(Admitted(one, one.recorded) for one in made)))
    assert verified(place).ok
    with sqlite3.connect(place) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            if name.startswith("thread_events"):
                connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE thread_events SET evidence = replace(evidence, 'ann', 'eve') WHERE seq = 2")
    connection.close()
    fault = verified(place).fault
    assert fault is not None
    assert (fault.sequence, fault.differs) == (2, "events.payload_digest")


def test_the_same_payload_by_another_is_another_step_where_a_law_reads_who_published() -> None:
    assert candidate(1, ("check", "ann", 0)).payload_digest != candidate(1, ("check", "bob", 0)).payload_digest
    assert candidate(1, ("note", "ann", 0)).payload_digest == candidate(1, ("note", "bob", 0)).payload_digest
