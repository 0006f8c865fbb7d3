"""Goal: the cluster in containers does what it does as processes, also when containers die. Method: the Compose file in
an engine of its own, on a base image made here; the permit log through it, a container and a process killed meanwhile;
figures, and what containers may do, afterwards. Runs by `make test-compose` only: it takes minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from relmachine.cluster.containers import container_plan, container_spec
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import FILE_NAME, Logins
from relmachine.cluster.plan import programs
from relmachine.servers import available
from tests import permit
from tests.compose.containers import ROOT, Containers, containers, wait_until
from tests.compose.engine import missing
from tests.compose.engine import run as run_command

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(1800)]

SPEC = container_spec("permit", permit.YAML.name, nodes=3)
PLAN = container_plan(SPEC, Logins())
PORTS = {process.name: process.ports for process in PLAN.processes}
RELM = ("python3", "-m", "relmachine")
CONTEXT = ("--context", "/data/node-1")
_DECIDED = "SELECT%20(SELECT%20count(*)%20FROM%20thread_events)%2B(SELECT%20count(*)%20FROM%20rejections)"


@pytest.fixture(autouse=True)
def _wanted() -> None:
    if os.environ.get("RELM_TEST_COMPOSE") != "1":
        pytest.skip("only by make test-compose")
    absent = [name for name in programs(SPEC) if available()[name].path is None]
    reason = missing() or (f"not on this machine: {', '.join(absent)} (make servers)" if absent else None)
    if reason is not None:
        pytest.fail(f"RELM_TEST_COMPOSE=1, and {reason}", pytrace=False)


def test_the_figures_hold_while_containers_die() -> None:
    with containers() as run:
        try:
            _test(run)
        finally:
            print(f"seconds: {run.seconds}")
        left = run.engine.docker("ps", "--all", "--quiet") + run.engine.docker("volume", "ls", "--quiet")
        assert left == ""


def _test(run: Containers) -> None:
    with _up(run):
        _check_confined(run)
        leader = _rqlite_leader(run)
        with run.timed("replay"):
            replayed = _replay_while_dying(run, leader)
        assert _wrong(replayed) == {}
        assert not run.look(leader)["State"]["Running"], "the figures must hold without it"
        assert run.look("node-2")["RestartCount"] == 1
        with run.timed("revived"):
            run.compose("up", "--detach", "--no-build")
            wait_until(lambda: all(run.healthy(name) for name in PLAN.names()), "the killed containers")
        assert json.loads(run.exec("node-2", *RELM, "verify", "--context", "/data/node-2", "--json"))["ok"]
        # A node counts for its page only now and then: see `observe.figures`.
        address = f"http://127.0.0.1:{PORTS['node-1']['http']}/status.json"
        wait_until(lambda: _wrong(run.ask(address)["figures"]) == {}, "the figures on node 1's page")


@contextlib.contextmanager
def _up(run: Containers) -> Iterator[None]:
    """Every container, healthy; in the end none, and no volume."""
    try:
        with run.timed("up"):
            run.compose("up", "--detach", "--no-build")
            wait_until(lambda: all(run.healthy(name) for name in PLAN.names()), "every container to be healthy")
        yield
    except BaseException:
        print(run.engine.docker("ps", "--all", "--format", "{{.Names}}: {{.Status}}"))
        print(run.logs(["configure", *PLAN.names()]))
        raise
    finally:
        with run.timed("down"):
            run.compose("down", "--volumes", "--remove-orphans")


def _wrong(figures: Mapping[str, object]) -> dict[str, object]:
    return {name: figures.get(name) for name, value in permit.expected().items() if figures.get(name) != value}


def _replay_while_dying(run: Containers, leader: str) -> dict[str, Any]:
    """The log through node 1; the rqlite leader's container is killed for good, then node 2's process dies."""
    asked = next(name for name in SPEC.names(Kind.RQLITE) if name != leader)
    store = f"{_store(run, asked)}/db/query?level=none&q={_DECIDED}"
    steps = permit.expected()["published"]
    replay = run.start("node-1", *RELM, "replay", "/machine/permit.yaml", "/machine/receipt.xes.gz", *CONTEXT, "--json")

    def decided(least: int) -> bool:
        assert replay.poll() is None, f"the replay ended: {replay.communicate()}"
        return run.ask(store)["results"][0]["values"][0][0] >= least

    wait_until(lambda: decided(steps // 5), "a fifth of the log")
    run.compose("kill", leader)
    wait_until(lambda: decided(steps // 2), "half of the log, without the leader")
    # Not the engine's kill, after which it starts nothing again: the process ends as if by itself.
    run.engine.inside("kill", "-KILL", str(run.look("node-2")["State"]["Pid"]))
    assert not decided(steps), "both kills must be in the middle of the replay"
    said, told = replay.communicate(timeout=600)
    assert replay.returncode == 0, told[-3000:]
    replayed: dict[str, Any] = json.loads(said)
    print(f"replay: {steps} steps at {replayed['steps_per_s']} steps/s, {leader} and node-2 killed meanwhile")
    return replayed


def _rqlite_leader(run: Containers) -> str:
    told = json.dumps(run.ask(f"{_store(run, 'rqlite-1')}/status")["store"]["leader"])
    return next(name for name in PLAN.names() if name in told and name.startswith("rqlite-"))


def _store(run: Containers, name: str) -> str:
    """Where a server of the store answers, with the login."""
    return _logins(run).store.url("http", run.host(name), PORTS[name]["http"])


def _check_confined(run: Containers) -> None:
    """Nobody is root or writes into an image; only nodes are reached, from this machine only; logins are in files."""
    began = time.monotonic()
    passwords = set(_logins(run).passwords)
    for name in PLAN.names():
        look = run.look(name)
        assert look["HostConfig"]["ReadonlyRootfs"] and look["HostConfig"]["CapDrop"] == ["ALL"], name
        assert run.exec(name, "id", "-u").strip() == "10001", name
        assert not any(password in json.dumps(look) for password in passwords), name
        published = [one for ports in look["NetworkSettings"]["Ports"].values() for one in ports or ()]
        assert {one["HostIp"] for one in published} == ({"127.0.0.1"} if name.startswith("node-") else set()), name
    with pytest.raises(AssertionError, match="Read-only file system"):
        run.exec("node-1", "touch", "/opt/relmachine/new")
    assert len(passwords) == len(Logins.model_fields)
    run.seconds["checks"] = round(time.monotonic() - began, 1)


def _logins(run: Containers) -> Logins:
    """The logins, read where only the first container has them."""
    file = f"/data/cluster/{FILE_NAME}"
    return Logins.model_validate_json(run.compose("run", "--rm", "--no-deps", "configure", "cat", file))


def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    """The real parser, which knows what the format allows. It wants the folders that images are built from."""
    for image in ("node", *programs(SPEC)):
        (tmp_path / image).mkdir()
    command = ["docker-compose", "--file", str(ROOT / "docker-compose.yml"), "--profile", "core", "config"]
    found = yaml.safe_load(run_command(command, {**os.environ, "RELM_IMAGES": str(tmp_path)}))
    assert set(found["services"]) == {"configure", *PLAN.names()}
