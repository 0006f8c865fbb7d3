"""Goal: nodes that come and go move nobody else. Method: wishes with more and fewer nodes, their names, ports and plans
as data.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from relmachine.cluster.kind import OF_A_NODE, Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.nodes import check_known, resized, with_more, with_nodes, without
from relmachine.cluster.plan import plan, programs
from relmachine.cluster.ports import FIRST_PORT, ports
from relmachine.cluster.site import number_of
from relmachine.cluster.spec import ClusterPlan, ClusterSpec, ProcessSpec
from relmachine.cluster.state import Wish
from relmachine.errors import Code, RelmError

LOGINS = Logins()


def wish(nodes: int, *numbers: int, **given: object) -> ClusterSpec:
    """A cluster of the permit machine."""
    path = Path("/machines/permit.yaml")
    return ClusterSpec(nodes, Path("/data"), "permit", path, FIRST_PORT, numbers=numbers, **given)  # type: ignore[arg-type]


def planned(spec: ClusterSpec) -> ClusterPlan:
    """Its plan, with programs that need not exist."""
    return plan(spec, {name: Path("/bin") / name for name in programs(spec)}, LOGINS)


def test_the_lowest_free_numbers_are_taken() -> None:
    assert with_more(wish(3), 2).names(Kind.NODE) == ("node-1", "node-2", "node-3", "node-4", "node-5")
    assert with_more(wish(2, 2, 5), 2).numbers == (1, 2, 3, 5)


def test_named_nodes_are_there_once() -> None:
    assert with_nodes(wish(3), ["node-7", "node-2", "node-7"]).numbers == (1, 2, 3, 7)
    assert with_nodes(wish(3), ["node-2"]) == wish(3)
    assert without(wish(3), ["node-1", "node-1"]).numbers == (2, 3)


def test_another_number_of_nodes_keeps_the_lowest() -> None:
    assert resized(wish(3, 2, 4, 6), 2).numbers == (2, 4)
    assert resized(wish(3, 2, 4, 6), 5).numbers == (1, 2, 3, 4, 6)
    assert resized(wish(3, 2, 4, 6), 3) == wish(3, 2, 4, 6)


@pytest.mark.parametrize("nodes", [1, 2, 3, 9])
def test_servers_stay_as_many_as_they_are(nodes: int) -> None:
    spec = wish(nodes)
    for other in (resized(spec, 1), resized(spec, 9)):
        assert other.replicas == spec.replicas
        assert other.names(Kind.NATS) == spec.names(Kind.NATS)
        assert other.count(Kind.NODE) == other.nodes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: with_more(wish(3), 7), Code.LIMIT_EXCEEDED),
        (lambda: with_more(wish(9), 1), Code.LIMIT_EXCEEDED),
        (lambda: resized(wish(3), 10), Code.LIMIT_EXCEEDED),
        (lambda: resized(wish(3), 0), Code.LIMIT_EXCEEDED),
        (lambda: without(wish(2), ["node-1", "node-2"]), Code.LIMIT_EXCEEDED),
        (lambda: without(wish(2), ["node-3"]), Code.NOT_FOUND),
        (lambda: check_known(wish(2), ["nats-1"]), Code.NOT_FOUND),
        (lambda: with_nodes(wish(3), ["node-10"]), Code.NOT_FOUND),
        (lambda: with_nodes(wish(3), ["node-0"]), Code.NOT_FOUND),
        (lambda: with_nodes(wish(3), ["node-4 "]), Code.NOT_FOUND),
        (lambda: with_nodes(wish(3), ["opa-4"]), Code.NOT_FOUND),
        (lambda: wish(2, 1, 1), Code.LIMIT_EXCEEDED),
        (lambda: wish(2, 1, 10), Code.LIMIT_EXCEEDED),
        (lambda: wish(2, 1, 2, 3), Code.LIMIT_EXCEEDED),
    ],
)
def test_what_cannot_be_is_refused(change: object, code: Code) -> None:
    with pytest.raises(RelmError) as refused:
        change()  # type: ignore[operator]
    assert refused.value.code is code


def test_a_node_that_comes_back_has_its_ports_again_and_nobody_moves() -> None:
    before = ports(wish(3))
    gone = ports(without(wish(3), ["node-1"]))
    assert not {"node-1", "daprd-1", "opa-1"} & set(gone)
    assert gone == {name: roles for name, roles in before.items() if name in gone}
    assert ports(with_more(without(wish(3), ["node-1"]), 1)) == before
    used = [port for roles in ports(wish(3, 2, 5, 9)).values() for port in roles.values()]
    assert len(used) == len(set(used))


def test_the_plan_of_whoever_stays_is_the_same() -> None:
    """So a running process need not be told. Only how long it may be missed follows from who else is there."""

    def told(process: ProcessSpec) -> tuple[object, ...]:
        return tuple(
            getattr(process, name)
            for name in ("command", "environment", "needs", "ready", "ports", "address", "folder")
        )

    before, after = planned(wish(3)), planned(without(with_more(wish(3), 2), ["node-1", "node-3"]))
    kept = {process.name: process for process in after.processes}
    both = [process for process in before.processes if process.name in kept]
    assert {process.name for process in both} >= {"nats-3", "node-2", "daprd-2"}
    assert all(told(process) == told(kept[process.name]) for process in both)
    texts = {file.path: file.text for file in after.files}
    assert all(texts[file.path] == file.text for file in before.files if file.path in texts)
    assert kept["node-2"].restart.when_exhausted == "degrade"
    alone = {process.name: process for process in planned(without(wish(2), ["node-2"])).processes}
    assert alone["node-1"].restart.when_exhausted == "stop"


def test_what_a_node_brings_is_planned_under_its_number() -> None:
    made = planned(wish(2, 2, 7))
    names = {process.name for process in made.processes if process.kind in OF_A_NODE}
    assert names == {f"{kind}-{number}" for kind in OF_A_NODE for number in (2, 7)}
    assert number_of("node-7") == 7
    assert {"daprd-7", "opa-7"} <= set(next(one for one in made.processes if one.name == "node-7").needs)


@pytest.mark.parametrize("spec", [wish(3), wish(2, 2, 5), wish(5, replicas=1), wish(1, replicas=3)])
def test_the_wish_that_is_written_down_is_the_wish(spec: ClusterSpec) -> None:
    assert Wish.model_validate_json(Wish.of(spec).model_dump_json()).spec(Path("/data")) == spec


def test_a_wish_written_before_nodes_had_numbers_is_understood() -> None:
    written = Wish.of(wish(3)).model_dump(mode="json")
    del written["numbers"], written["replicas"]
    assert Wish.model_validate(written).spec(Path("/data")) == wish(3)
