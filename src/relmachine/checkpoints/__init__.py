"""LangGraph checkpoints on SQLite or rqlite, for any LangGraph program: `from relmachine.checkpoints import Saver`."""

from relmachine.checkpoints.saver import Saver

__all__ = ["Saver"]
