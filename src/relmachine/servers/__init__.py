"""The real servers of a cluster: pinned versions, built from public packages into the user's cache, found there."""

from relmachine.servers.presence import ServerStatus, available, locate

__all__ = ["ServerStatus", "available", "locate"]
