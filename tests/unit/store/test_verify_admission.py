"""Goal: a history that gate 3 would not have let come about is found, however well its rows agree with each other.
Method: turns over steps that the kernel was told to admit, or to refuse, against the laws."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from relmachine.algebra.identity import ID_PATTERN
from relmachine.errors import Code
from relmachine.kernel.advance import advance
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, Decided, GateName, Refusal, Refused
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import Report, verify
from relmachine.store.verify import threads as verify_threads
from tests.contract.store_turns import Desk, desk

Forged = tuple[str, dict[str, object]]


def forged(path: Path, thread: str, steps: Sequence[Forged], *, turns: int = 1) -> Report:
    """What verification says of a store in which `steps` of `thread` were admitted without asking, after a good one."""

    async def work() -> Report:
        made = Desk.new()
        decided = [made.steps.admitted(thread, name, **values) for name, values in steps]
        return await _verified(path, made, thread, decided, turns)

    return asyncio.run(work())


async def _verified(path: Path, made: Desk, thread: str, decided: Sequence[Decided], turns: int) -> Report:
    store = SqliteStore.open(path, made.plan)
    others = [made.turn(name, made.steps.admitted(name, "receive")) for name in ("good", "zoo")]
    await store.commit(others)
    state = initial_state(made.plan, thread)
    size = -(-len(decided) // turns)
    for start in range(0, len(decided), size):
        proposal = advance(made.plan, state, decided[start : start + size])
        await store.commit([proposal])
        state = proposal.after
    report = await verify(store)
    await store.close()
    return report


FORGERIES: list[tuple[Code, int, list[Forged]]] = [
    (Code.REQUIRES, 1, [("check", {})]),
    (Code.REQUIRES, 2, [("receive", {}), ("decide", {}), ("check", {}), ("decide", {})]),
    (Code.REQUIRES, 4, [("receive", {}), ("check", {}), ("adjust", {}), ("decide", {})]),
    (Code.CONTEST_ABSENT, 2, [("receive", {}), ("adjust", {}), ("adjust", {})]),
    (Code.ONCE, 4, [("receive", {}), ("check", {}), ("decide", {"once": "ann"}), ("decide", {"once": "bob"})]),
    (Code.REQUIRES, 2, [("doubt", {}), ("opine", {})]),
]


@pytest.mark.parametrize(("code", "place", "steps"), FORGERIES)
@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_an_event_that_was_not_admissible_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: Code,
    place: int,
    steps: list[Forged],
    turns: int,
    batch: int,
) -> None:
    monkeypatch.setattr(verify_threads, "STEPS_PER_SOLVE", batch)
    fault = forged(tmp_path / "store.db", "n", steps, turns=turns).fault
    assert fault is not None
    assert (fault.code, fault.thread, fault.sequence) == (code, "n", place)
    assert re.fullmatch(ID_PATTERN, fault.event_id)
    assert fault.sentence in fault.computed


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_admissible_events_are_right_wherever_a_batch_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(verify_threads, "STEPS_PER_SOLVE", batch)
    steps: list[Forged] = [
        ("receive", {}),
        ("check", {}),
        ("adjust", {}),
        ("check", {}),
        ("decide", {"once": "ann"}),
        ("decide", {"once": "ann"}),
        ("opine", {}),
        ("doubt", {}),
    ]
    report = forged(tmp_path / "store.db", "n", steps, turns=3)
    assert report.ok, report.fault


def _refused(made: Desk, step: str, refusal: Refusal, **offered: object) -> Refused:
    return Refused(made.steps.refused("n", step, **offered).candidate, refusal)


@pytest.mark.parametrize(
    ("step", "refusal", "differs"),
    [
        (
            "note",
            Refusal(Code.REQUIRES, GateName.LAWS, "no", {"not_effective": ["checked"], "needs": []}),
            "admits the step",
        ),
        ("check", Refusal(Code.ONCE, GateName.LAWS, "no", {}), "rejections.code"),
        ("check", Refusal(Code.REQUIRES, GateName.LAWS, "no", {}), "rejections.sentence"),
        (
            "check",
            Refusal(
                Code.REQUIRES,
                GateName.LAWS,
                "step 'check' needs received to be effective before it: see to that, then publish under a new id",
                {"not_effective": ["received"], "needs": ["checked"]},
            ),
            "rejections.witness",
        ),
        ("nothing", Refusal(Code.REQUIRES, GateName.LAWS, "no", {}), "no such step"),
    ],
)
def test_a_step_refused_against_the_laws_is_named(tmp_path: Path, step: str, refusal: Refusal, differs: str) -> None:
    made = Desk.new()
    fault = asyncio.run(_verified(tmp_path / "s.db", made, "n", [_refused(made, step, refusal)], 1)).fault
    assert fault is not None
    assert differs in fault.differs
    assert (fault.thread, fault.sequence, fault.code) == ("n", 1, Code.STORE_DAMAGED)


def test_what_a_step_contributes_is_what_its_payload_says(tmp_path: Path) -> None:
    made = Desk.new()
    honest = made.steps.admitted("n", "note", log="one")
    for contributions in ((), (("log", '"two"'),), (("log", '"one"'), ("union", '"x"'))):
        path = tmp_path / f"{len(contributions)}{contributions[:1]!r}.db".replace("/", "")
        decided = Admitted(honest.candidate, tuple(contributions))
        fault = asyncio.run(_verified(path, Desk.new(desk()), "n", [decided], 1)).fault
        assert fault is not None
        assert "not what the step writes" in fault.differs
