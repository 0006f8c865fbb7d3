"""Importing what a node needs before its loop runs: that takes seconds on a busy machine, and while a loop waits for an
import, it hears of no signal.
"""

from __future__ import annotations

from importlib import import_module

from relmachine.node.settings import Settings

_ALWAYS = ("relmachine.node.node",)
_WITH = {
    "opa_url": ("relmachine.gates.opa",),
    "store_urls": ("relmachine.store.rqlite.store",),
    "dapr_address": ("relmachine.hosts.dapr", "dapr.actor", "dapr.clients.grpc.dapr_actor_grpc_client", "grpc.aio"),
}
"""Modules by the setting with which a node needs them."""


def load(settings: Settings) -> None:
    """Import all that a node with these settings will."""
    needed = [name for setting, names in _WITH.items() if getattr(settings, setting) for name in names]
    for name in (*_ALWAYS, *needed):
        import_module(name)
