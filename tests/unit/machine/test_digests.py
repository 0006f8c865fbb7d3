"""Goal: laws digest is identity, plan digest evidence. Method: change one thing, see which digest moves."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import AwareDatetime, BaseModel, Field

from relmachine import Machine, Section, View
from relmachine.machine.loader import load
from relmachine.machine.plan import Plan
from relmachine.machine.section import contributions

PERMIT = Path(__file__).parents[3] / "examples" / "permit"


class Payload(BaseModel):
    """A payload in an author's words: titles and descriptions are no law."""

    note: str | None = Field(None, title="A note", description="What was noted", examples=["ok"])
    at: AwareDatetime | None = None


class Renamed(BaseModel):
    at: datetime | None = None
    note: str | None = None


class Titled(Payload):
    """Members may be called as JSON schema calls its notes."""

    title: str | None = None


class Required(BaseModel):
    note: str
    at: AwareDatetime | None = None


def machine(
    *,
    name: str = "m",
    version: str = "1",
    requires: tuple[str, ...] = (),
    reducer: str = "union",
    kind: str = "process",
    payload: type[BaseModel] = Payload,
    reads: tuple[str, ...] = (),
    extra: bool = False,
) -> Machine:
    """A small machine with one thing to change by each argument."""
    made = Machine(name, version=version)
    made.claim("a")
    made.claim("b", requires=requires)
    made.field("notes", str, reducer=reducer)  # pyright: ignore[reportArgumentType]
    writes = {"notes": "note"}
    made.step("do_a", kind=kind, payload=payload, asserts=["a"], writes=writes)  # pyright: ignore[reportArgumentType]
    made.step("do_b", kind="process", asserts=["b"], reads=reads)
    made.step("free", kind="process")
    if extra:
        made.dependent("free", "do_a")
    return made


CHANGES: list[Callable[[], Machine]] = [
    lambda: machine(name="n"),
    lambda: machine(requires=("a",)),
    lambda: machine(reducer="once"),
    lambda: machine(kind="derivation"),
    lambda: machine(payload=Required),
    lambda: machine(payload=Titled),
    lambda: machine(reads=("notes",)),
    lambda: machine(extra=True),
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_law_moves_the_laws_digest(change: Callable[[], Machine]) -> None:
    assert change().plan().laws_digest != machine().plan().laws_digest


def test_what_is_no_law_does_not_move_it() -> None:
    plan = machine().plan()
    assert machine(payload=Renamed).plan().laws_digest == plan.laws_digest
    other = machine(version="2").plan()
    assert (other.laws_digest, other.matrix_digest) == (plan.laws_digest, plan.matrix_digest)
    assert other.digest != plan.digest


def test_evidence_moves_the_plan_digest_only() -> None:
    one, other = machine().plan({"policy": "r1"}), machine().plan({"policy": "r2"})
    assert (one.laws_digest, one.matrix_digest) == (other.laws_digest, other.matrix_digest)
    assert len({machine().plan().digest, one.digest, other.digest}) == 3
    assert machine().plan({"policy": "r1"}).digest == one.digest


def test_matrix_digest_follows_the_dependence() -> None:
    assert machine(extra=True).plan().matrix_digest != machine().plan().matrix_digest
    assert machine(kind="derivation").plan().matrix_digest == machine().plan().matrix_digest


@pytest.fixture(scope="module")
def permits() -> tuple[Plan, Plan]:
    """The permit machine, as YAML and as Python."""
    return load(PERMIT / "permit.yaml").plan(), load(PERMIT / "permit.py").plan()


def test_permit_in_both_forms_has_one_identity(permits: tuple[Plan, Plan]) -> None:
    yaml, python = permits
    assert yaml.laws_digest == python.laws_digest
    assert yaml.matrix_digest == python.matrix_digest
    assert yaml.digest == python.digest
    assert load(PERMIT / "permit.yaml").ingest == load(PERMIT / "permit.py").ingest
    assert all(not step.computed for step in yaml.steps)
    assert {step.name for step in python.steps if not step.computed} == {
        "t06", *(f"t07_{n}" for n in range(1, 6)), *(f"t09_{n}" for n in range(1, 5))
    }  # fmt: skip


def test_permit_in_both_forms_contributes_the_same(permits: tuple[Plan, Plan]) -> None:
    payload = {
        "resource": "Resource21",
        "group": "EMPTY",
        "at": "2011-10-11T13:45:40.276+02:00",
        "channel": "Internet",
        "department": "General",
        "responsible": "Resource21",
    }
    yaml, python = permits
    for recorded, other in zip(yaml.steps, python.steps, strict=True):
        for absent in (None, "resource", "at"):
            sent = {
                name: value
                for name, value in payload.items()
                if name in recorded.payload_model.model_fields and name != absent
            }
            read = recorded.payload_model.model_validate(sent, strict=False)
            expected = {field: getattr(read, member) for field, member in recorded.recorded}
            wanted = contributions(yaml, recorded, Section(expected))
            assert {name for name, _ in wanted} == {field for field, member in recorded.recorded if member != absent}
            if other.closure is None:
                assert other.recorded == recorded.recorded
            else:
                instance = other.payload_model.model_validate(sent)
                assert contributions(python, other, other.closure(instance, View())) == wanted


def test_permit_names_every_activity_of_its_log() -> None:
    text = gzip.decompress((PERMIT / "receipt.xes.gz").read_bytes()).decode()
    events = re.findall(r"<event>.*?</event>", text, re.DOTALL)
    activities = {re.search(r'key="concept:name" value="([^"]*)"', event)[1] for event in events}  # pyright: ignore
    permit = load(PERMIT / "permit.yaml")
    assert len(events) == 8577
    assert permit.ingest.names.keys() == activities
    assert set(permit.ingest.names.values()) == set(permit.declaration.steps)
