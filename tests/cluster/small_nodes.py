"""A cluster of shell scripts whose nodes come and go: one server, and for each node a policy server, a sidecar and the
node. Run as a program it is the supervisor of such a cluster, until SIGTERM.

A node whose number is a line of the file `broken` fails at once; one in `slow` gets ready, and one in `deaf` ends, when
it is there no more. From the file `begun` in its folder on, a node ends by itself when it is told to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from relmachine.cli.serving import serve, until_stopped
from relmachine.cluster.holding import holding
from relmachine.cluster.kind import OF_A_NODE, Kind
from relmachine.cluster.leftovers import end_leftovers
from relmachine.cluster.running import kept, recorded
from relmachine.cluster.spec import ClusterPlan, ClusterSpec, ConfigFile, ProcessSpec
from tests.cluster.small import STEADY, quick, script

_SAYS = 'trap "say gone; exit 0" TERM; touch ready; say "up $(cat file)"; while :; do sleep 0.02; done'


def spec(folder: Path, nodes: int, port: int = 20_000, **given: object) -> ClusterSpec:
    """The wish for such a cluster."""
    kinds = OF_A_NODE | {Kind.SCHEDULER}
    return ClusterSpec(nodes, folder, "small", folder / "small.yaml", port, kinds=kinds, **given)  # type: ignore[arg-type]


def planned(folder: Path) -> Callable[[ClusterSpec], ClusterPlan]:
    """What makes its plan."""

    def plan(wish: ClusterSpec) -> ClusterPlan:
        processes = [script(folder, name, STEADY) for name in wish.names(Kind.SCHEDULER)]
        files: list[ConfigFile] = []
        for number in wish.numbers:
            opa, sidecar, node = (f"{kind}-{number}" for kind in (Kind.OPA, Kind.SIDECAR, Kind.NODE))
            processes += [
                script(folder, opa, _SAYS),
                script(folder, sidecar, STEADY, needs=["scheduler-1"]),
                _node(folder, node, number, [opa, sidecar, "scheduler-1"]),
            ]
            files.append(ConfigFile(folder / opa / "file", "written"))
        return ClusterPlan(processes, files)

    return plan


def _node(folder: Path, name: str, number: int, needs: list[str]) -> ProcessSpec:
    def listed(word: str) -> str:
        return f"grep -qsx {number} {folder}/{word}"

    body = (
        f"if {listed('broken')}; then echo broken; exit 7; fi\n"
        f"""trap 'touch told; while {listed("deaf")}; do sleep 0.02; done; say gone; exit 0' TERM\n"""
        "touch begun\n"
        f"while {listed('slow')}; do sleep 0.02; done\n"
        "touch ready; say up; while :; do sleep 0.02; done"
    )
    rule = quick(failures_max=3, when_exhausted="degrade")
    return script(folder, name, body, needs=needs, restart=rule, stop_seconds=20.0)


async def _supervise(folder: Path, nodes: int, port: int) -> None:
    before = recorded(folder)
    wish = spec(folder, nodes, port) if before is None else before.spec(folder)
    with holding(folder):
        end_leftovers(folder)
        async with kept(wish, planned(folder)) as cluster:
            await until_stopped(cluster.failed())


if __name__ == "__main__":
    serve(lambda: _supervise(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
