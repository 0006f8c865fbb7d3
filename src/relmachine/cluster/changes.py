"""Nodes that come, go and restart while the cluster runs: what is asked of its supervisor, one thing at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from relmachine.cluster.kind import Kind
from relmachine.cluster.nodes import check_known, with_more, with_nodes, without
from relmachine.cluster.ports import check_free, ports
from relmachine.cluster.requests import Add, Done, Remove, Request, Restart
from relmachine.cluster.spec import ClusterPlan, ClusterSpec
from relmachine.cluster.state import Wish
from relmachine.cluster.supervisor import Supervisor
from relmachine.errors import Code, RelmError

_log = structlog.get_logger(__name__)

Tell = Callable[[str], None]
"""Called with a sentence about what just happened."""


class Changes:
    """Carries out requests on the cluster of `spec`; `planned` makes its plan for other nodes."""

    def __init__(self, cluster: Supervisor, spec: ClusterSpec, planned: Callable[[ClusterSpec], ClusterPlan]) -> None:
        self._cluster, self._spec, self._planned = cluster, spec, planned
        self._under_way: str | None = None

    async def carry_out(self, request: Request, tell: Tell) -> Done:
        """Do what is asked. Cancelled, it leaves the wish as it is written down: the next `relm up` goes on with it.

        Errors: `limit_exceeded` while another change is under way, for more nodes than a cluster has, and for the last
        one; `not_found` for a node that is not there; `unreachable` when a port is taken, a node does not get ready, or
        the wish cannot be written down.
        """
        if self._under_way is not None:
            sentence = f"one change at a time: wait until it is done, {self._under_way} (`relm nodes list`)"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, under_way=self._under_way)
        self._under_way = f"{request.verb} {', '.join(request.nodes)}".strip()
        try:
            changed = await self._do(request, tell)
        finally:
            self._under_way = None
        return Done(changed=changed, nodes=self._spec.names(Kind.NODE))

    async def _do(self, request: Request, tell: Tell) -> tuple[str, ...]:
        if Kind.NODE not in self._spec.kinds:
            raise RelmError(Code.NOT_FOUND, "this cluster has servers only: start one with nodes with `relm up`")
        match request:
            case Add(nodes=()):
                return await self._add(with_more(self._spec, request.count), tell)
            case Add():
                return await self._add(with_nodes(self._spec, request.nodes), tell)
            case Remove():
                return await self._remove(without(self._spec, request.nodes), tell)
            case Restart():
                return await self._restart(check_known(self._spec, request.nodes or self._spec.names(Kind.NODE)), tell)

    async def _add(self, wanted: ClusterSpec, tell: Tell) -> tuple[str, ...]:
        """All of them join, or none does."""
        before = self._spec
        joining = _difference(wanted, before)
        known = ports(before)
        check_free({name: roles for name, roles in ports(wanted).items() if name not in known})
        self._cluster.want(Wish.of(wanted))
        began = self._began(joining, "joining", tell)
        try:
            await self._cluster.change(self._planned(wanted), Wish.of(wanted))
        except Exception:  # what joins may be missing for any reason, a full disk among them
            await self._cluster.change(self._planned(before), Wish.of(before))
            raise
        self._spec = wanted
        self._ended(joining, "joined", began, tell)
        return joining

    async def _remove(self, wanted: ClusterSpec, tell: Tell) -> tuple[str, ...]:
        leaving = _difference(self._spec, wanted)
        self._cluster.want(Wish.of(wanted))
        began = self._began(leaving, "leaving", tell)
        self._spec = wanted
        await self._cluster.change(self._planned(wanted), Wish.of(wanted))
        self._ended(leaving, "left", began, tell)
        return leaving

    async def _restart(self, names: Sequence[str], tell: Tell) -> tuple[str, ...]:
        for name in names:
            began = self._began((name,), "restarting", tell)
            await self._cluster.restart(name)
            self._ended((name,), "restarted", began, tell)
        return tuple(names)

    def _began(self, names: tuple[str, ...], doing: str, tell: Tell) -> float:
        for name in names:
            _log.info("node_changes", node=name, state=doing)
            tell(f"{name} is {doing}")
        return time.monotonic()

    def _ended(self, names: tuple[str, ...], done: str, began: float, tell: Tell) -> None:
        seconds = time.monotonic() - began
        for name in names:
            _log.info("node_changed", node=name, state=done, seconds=round(seconds, 1))
            tell(f"{name} {done} in {seconds:.1f} s")


def _difference(more: ClusterSpec, fewer: ClusterSpec) -> tuple[str, ...]:
    """Nodes of the one that the other does not have."""
    return tuple(name for name in more.names(Kind.NODE) if name not in fewer.names(Kind.NODE))
