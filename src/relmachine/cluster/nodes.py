"""Which nodes a cluster has: the wish with others, by name or by number of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from relmachine.cluster.kind import Kind
from relmachine.cluster.spec import NODES_MAX, ClusterSpec
from relmachine.errors import Code, RelmError

_NAME = re.compile(rf"{Kind.NODE}-([1-{NODES_MAX}])")


def with_nodes(spec: ClusterSpec, names: Sequence[str]) -> ClusterSpec:
    """`spec` with these nodes as well; those that it has already change nothing. Errors: `not_found` for what cannot
    be a node.
    """
    return _of(spec, {*spec.numbers, *map(_number, names)})


def with_more(spec: ClusterSpec, count: int) -> ClusterSpec:
    """`spec` with `count` more nodes, of the lowest free numbers. Errors: `limit_exceeded`."""
    free = [number for number in range(1, NODES_MAX + 1) if number not in spec.numbers]
    if count > len(free):
        sentence = f"a cluster has at most {NODES_MAX} nodes: ask for at most {len(free)} more"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, nodes=list(spec.names(Kind.NODE)), nodes_max=NODES_MAX)
    return _of(spec, {*spec.numbers, *free[:count]})


def without(spec: ClusterSpec, names: Sequence[str]) -> ClusterSpec:
    """`spec` without these nodes. Errors: `not_found` for one that it does not have, `limit_exceeded` when none is
    left.
    """
    left = set(spec.numbers) - set(map(_number, check_known(spec, names)))
    if not left:
        sentence = "a cluster keeps at least one node: end all of it with `relm down`"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, nodes=list(spec.names(Kind.NODE)), nodes_min=1)
    return _of(spec, left)


def resized(spec: ClusterSpec, nodes: int) -> ClusterSpec:
    """`spec` with so many nodes: more of the lowest free numbers, or those of the highest numbers left out.

    Errors: `limit_exceeded`.
    """
    if nodes > spec.nodes:
        return with_more(spec, nodes - spec.nodes)
    return replace(spec, nodes=nodes, numbers=spec.numbers[:nodes])


def check_known(spec: ClusterSpec, names: Sequence[str]) -> Sequence[str]:
    """The names, each once. Errors: `not_found`, with the nodes that there are, for any other."""
    nodes = spec.names(Kind.NODE)
    for name in names:
        if name not in nodes:
            raise RelmError(Code.NOT_FOUND, f"the cluster has no node {name}: name one of its nodes", nodes=list(nodes))
    return list(dict.fromkeys(names))


def _of(spec: ClusterSpec, numbers: Iterable[int]) -> ClusterSpec:
    chosen = tuple(sorted(numbers))
    return replace(spec, nodes=len(chosen), numbers=chosen)


def _number(name: str) -> int:
    found = _NAME.fullmatch(name)
    if found is None:
        sentence = f"{name} cannot be a node: they are called {Kind.NODE}-1 to {Kind.NODE}-{NODES_MAX}"
        raise RelmError(Code.NOT_FOUND, sentence, nodes_max=NODES_MAX)
    return int(found[1])
