"""Goal: `relm up` goes on with what its folder began with. Method: options against folders that remember a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from relmachine.cli.cluster_spec import Asked, spec_of
from relmachine.cli.cluster_view import single_servers
from relmachine.cluster.kind import Kind
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import ClusterState, Wish
from relmachine.errors import Code, RelmError
from tests import permit


def began(folder: Path, nodes: int, *numbers: int, machine: str = "permit") -> ClusterSpec:
    """The wish of a cluster that ran in `folder`."""
    spec = ClusterSpec(nodes, folder.resolve(), machine, permit.YAML.resolve(), 21_000, numbers=numbers)
    ClusterState(wish=Wish.of(spec), supervisor_pid=1, processes=[]).save(folder)
    return spec


def test_a_new_folder_has_what_is_asked_else_three_nodes(tmp_path: Path) -> None:
    made = spec_of(Asked(tmp_path, machine=str(permit.YAML), first_port=22_000))
    assert (made.nodes, made.replicas, made.first_port, made.machine) == (3, 3, 22_000, "permit")
    assert spec_of(Asked(tmp_path, nodes=2, machine=str(permit.YAML), first_port=22_000)).replicas == 1
    with pytest.raises(typer.BadParameter):
        spec_of(Asked(tmp_path))


@pytest.mark.parametrize("numbers", [(1, 2, 3), (2, 4, 7)])
def test_nothing_asked_is_everything_as_before(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    spec = began(tmp_path, 3, *numbers)
    assert spec_of(Asked(tmp_path)) == spec


@pytest.mark.parametrize(
    ("before", "asked", "numbers", "servers"),
    [((1,), 5, (1, 2, 3, 4, 5), 1), ((2,), 3, (1, 2, 3), 1), ((1, 2, 3), 1, (1,), 3), ((2, 3, 4), 4, (1, 2, 3, 4), 3)],
)
def test_another_number_of_nodes_has_the_same_servers(
    tmp_path: Path, before: tuple[int, ...], asked: int, numbers: tuple[int, ...], servers: int
) -> None:
    began(tmp_path, len(before), *before)
    spec = spec_of(Asked(tmp_path, nodes=asked))
    assert (spec.numbers, spec.replicas, len(spec.names(Kind.RQLITE))) == (numbers, servers, servers)
    note = single_servers(Wish.of(spec))
    assert (note is not None) is (asked >= 3 and servers == 1)
    assert note is None or "new folder" in note


def test_another_machine_is_refused(tmp_path: Path) -> None:
    began(tmp_path, 3, machine="other")
    with pytest.raises(RelmError) as refused:
        spec_of(Asked(tmp_path, machine=str(permit.YAML)))
    assert refused.value.code is Code.STORE_MACHINE_MISMATCH
