"""Threads outside their node: exported from a store, and replayed."""
