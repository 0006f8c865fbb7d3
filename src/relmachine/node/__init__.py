"""A running node: settings, the composition root, and what runs through it.

Names are loaded when first asked for (PEP 562): a command that only reads where a node is does not load a node.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmachine.node.node import Node
    from relmachine.node.settings import Settings

__all__ = ["Node", "Settings"]

_HOMES = {"Node": "node", "Settings": "settings"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
