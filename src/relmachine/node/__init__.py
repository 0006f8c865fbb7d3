"""A running node: settings, the composition root, and what runs through it."""

from __future__ import annotations

from relmachine.node.node import Node
from relmachine.node.settings import Settings

__all__ = ["Node", "Settings"]
