"""Goal: a plan is complete, in order, and free of collisions. Method: build plans for every number of nodes and look at
them as data: ports, needs, files; have the real nats-server check every configuration text.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.plan import plan, programs
from relmachine.cluster.ports import FIRST_PORT, LAST_PORT, ports
from relmachine.cluster.spec import ClusterPlan, ClusterSpec, ProcessSpec
from relmachine.errors import Code, RelmError
from relmachine.servers import locate

NODES = [1, 2, 3, 5, 9]
LOGINS = Logins()


def wish(nodes: int, **given: object) -> ClusterSpec:
    """A cluster of the permit machine."""
    return ClusterSpec(nodes, Path("/data"), "permit", Path("/machines/permit.yaml"), FIRST_PORT, **given)  # type: ignore[arg-type]


def planned(nodes: int, **given: object) -> ClusterPlan:
    """Its plan, with programs that need not exist."""
    spec = wish(nodes, **given)
    return plan(spec, {name: Path("/bin") / name for name in programs(spec)}, LOGINS)


def process(made: ClusterPlan, name: str) -> ProcessSpec:
    """The process of that name."""
    return next(one for one in made.processes if one.name == name)


@pytest.mark.parametrize("nodes", NODES)
def test_every_port_is_used_once_and_lies_below_the_ephemeral_range(nodes: int) -> None:
    used = [port for roles in ports(wish(nodes)).values() for port in roles.values()]
    assert len(used) == len(set(used))
    assert min(used) >= FIRST_PORT
    assert max(used) <= LAST_PORT < 32_768


def test_ports_stay_when_nodes_join() -> None:
    """Replicated servers remember each other's addresses, so three nodes must not move what five nodes use."""
    few, many = ports(wish(3)), ports(wish(5))
    assert all(many[name] == roles for name, roles in few.items())


@pytest.mark.parametrize("first", [80, LAST_PORT])
def test_ports_that_do_not_fit_are_refused(first: int) -> None:
    spec = ClusterSpec(3, Path("/data"), "permit", Path("/m.yaml"), first)
    with pytest.raises(RelmError) as refused:
        ports(spec)
    assert refused.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("nodes", [0, 10])
def test_a_number_of_nodes_that_has_no_ports_is_refused(nodes: int) -> None:
    with pytest.raises(RelmError) as refused:
        wish(nodes)
    assert refused.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(("nodes", "replicas"), [(1, 1), (2, 1), (3, 3), (5, 3)])
def test_the_right_number_of_each_kind(nodes: int, replicas: int) -> None:
    counts = {kind: sum(one.kind == kind for one in planned(nodes).processes) for kind in Kind}
    assert counts == {
        Kind.NATS: replicas,
        Kind.RQLITE: replicas,
        Kind.PLACEMENT: replicas,
        Kind.SCHEDULER: 1,
        Kind.OPA: nodes,
        Kind.SIDECAR: nodes,
        Kind.NODE: nodes,
    }


@pytest.mark.parametrize("nodes", NODES)
def test_everything_comes_after_what_it_needs(nodes: int) -> None:
    made = planned(nodes)
    for place, one in enumerate(made.processes):
        assert set(one.needs) <= set(made.names()[:place]), one.name


def test_a_node_needs_every_shared_server_and_its_own_sidecar_and_policy_server() -> None:
    made = planned(3)
    needs = set(process(made, "node-2").needs)
    assert {"nats-1", "nats-3", "rqlite-2", "placement-3", "opa-2", "daprd-2"} <= needs
    assert not {"opa-1", "daprd-3", "node-1"} & needs
    assert made.needed_by("scheduler-1") == ()
    assert "node-2" in made.needed_by("daprd-2")


def test_every_process_says_how_it_is_ready_and_has_a_folder_of_its_own() -> None:
    made = planned(3)
    assert all(one.ready for one in made.processes)
    assert len({one.folder for one in made.processes}) == len(made.processes)


def test_only_what_has_a_like_or_is_not_needed_may_be_missed_for_long() -> None:
    exhausted = {one.name: one.restart.when_exhausted for one in planned(3).processes}
    assert exhausted["rqlite-1"] == exhausted["node-3"] == "degrade"
    exhausted = {one.name: one.restart.when_exhausted for one in planned(1).processes}
    assert exhausted.pop("scheduler-1") == "degrade"
    assert set(exhausted.values()) == {"stop"}


def test_a_node_is_told_every_address() -> None:
    environment = process(planned(3), "node-3").environment
    assert environment["RELM_STORE_URLS"].split(",") == [
        LOGINS.store.url("http", "127.0.0.1", FIRST_PORT + 100 + 10 * n) for n in range(3)
    ]
    streams = environment["RELM_NATS_URLS"].split(",")
    assert [url.rpartition(":")[2] for url in streams] == [str(FIRST_PORT + 10 * n) for n in range(3)]
    assert all(url.startswith("nats://core:") for url in streams)
    assert environment["RELM_OPA_URL"] == process(planned(3), "opa-3").address
    assert environment["RELM_DAPR_ADDRESS"] == process(planned(3), "daprd-3").address
    assert environment["RELM_DATA_DIR"] == "/data/node-3"


def test_a_cluster_without_some_kinds_does_not_mention_them() -> None:
    kinds = frozenset({Kind.NATS, Kind.NODE})
    node = process(planned(1, kinds=kinds), "node-1")
    assert node.needs == ("nats-1",)
    assert not {"RELM_STORE_URLS", "RELM_OPA_URL", "RELM_DAPR_ADDRESS"} & set(node.environment)


def test_passwords_are_only_in_files_for_their_owner() -> None:
    """A node finds its own in its environment too, and so does a sidecar; nothing that is shown has one."""
    passwords = {login["password"] for login in LOGINS.model_dump().values()}
    made = planned(3)
    assert passwords == set(LOGINS.passwords) and len(passwords) == len(LOGINS.model_dump())
    for file in made.files:
        assert file.mode == 0o600 or not any(password in file.text for password in passwords), file.path
    for one in made.processes:
        shown = [*one.command, *one.ready, one.address]
        assert not any(password in " ".join(shown) for password in passwords), one.name


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("sync", ["default", "always"])
def test_nats_takes_every_configuration(nodes: int, sync: str, tmp_path: Path) -> None:
    configs = [file for file in planned(nodes, sync=sync).files if file.path.name == "nats.conf"]
    assert len(configs) == (3 if nodes == 3 else 1)
    for number, file in enumerate(configs):
        assert ("sync_interval: always" in file.text) == (sync == "always")
        assert file.text.count("nats-route://") == (2 if nodes == 3 else 0)
        written = tmp_path / f"{number}.conf"
        written.write_text(file.text)
        checked = subprocess.run(
            [locate("nats-server"), "-t", "-c", written], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
