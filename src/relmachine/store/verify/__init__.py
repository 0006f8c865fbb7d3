"""Recomputing every id, digest and decision of a store from its events."""

from relmachine.store.verify.guards import guards
from relmachine.store.verify.whole import Report, verify

__all__ = ["Report", "guards", "verify"]
