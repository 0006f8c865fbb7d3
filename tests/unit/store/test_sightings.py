"""Goal: what laws of the author's own see of a stored thread is what they saw of it turn by turn. Method: random turns
of steps with long and short values on a real store; the past read at every cursor under bounds of all sizes, against
the same events added one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from relmachine.gates.own_law_past import Past, reach
from relmachine.gates.own_law_scene import Sighting
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted
from relmachine.store.sightings import past, past_read
from relmachine.store.sqlite import SqliteStore
from tests.unit.gates.own_law_desk import FOUR_EYES, desk, law

REMARKS = law('guards("stop"). reads(field,"remark").', 'violation(E) :- value(E,"remark","no").')
PLAN = desk(four_eyes=FOUR_EYES, remarks=REMARKS).plan()


def candidate(rng: Random, sequence: int) -> Candidate:
    name = rng.choice(["receive", "receive", "check", "determine", "note"])
    data: dict[str, object] = {"remark": "é" * rng.randint(0, 30), "amount": 7} if name == "receive" else {}
    body = Envelope(id=str(sequence), source="s", type=name, data=data, principal=rng.choice(["ann", "bob"])).wire()
    found = ShapeGate(PLAN, Limits()).check(Message(sequence, "t", name, body))
    assert isinstance(found, Candidate)
    return found


def test_a_read_finds_what_was_added_one_by_one(tmp_path: Path) -> None:
    rng = Random(3)
    bounds = [Limits(), *(Limits(own_law_facts_max=most) for most in (1, 3, 9))]
    bounds += [Limits(own_law_facts_bytes_max=most) for most in (1, 20, 90)]
    assert reach(PLAN).fields == {"remark"}

    async def work() -> None:
        store = SqliteStore.open(tmp_path / "store.db", PLAN)
        state, told = initial_state(PLAN, "t"), list[tuple[int, Sighting]]()
        for _ in range(12):
            some = [candidate(rng, state.cursor + place) for place in range(1, rng.randint(2, 5))]
            proposal = advance(PLAN, state, [Admitted(step, step.recorded) for step in some])
            await store.commit([proposal])
            for step, event in zip(some, proposal.events, strict=True):
                told.append((step.sequence, Sighting(step.step, event.event_id, step.principal, step.recorded)))
            state = proposal.after
        for limits in bounds:
            for sequence in range(0, state.cursor + 1, 5):
                expected = Past(PLAN, limits, [event for at, event in told if at <= sequence])
                found = [await read(store, PLAN, limits, "t", sequence) for read in (past, past_read)]
                assert [one.events for one in found] == [expected.events] * 2, (limits, sequence)
                assert found[0].characters == expected.characters
        await store.close()

    asyncio.run(work())
