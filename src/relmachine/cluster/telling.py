"""What a supervisor tells everybody else: its state, written down and shown to whoever watches, at every change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from relmachine.cluster.state import ClusterState, Wish
from relmachine.errors import Code, RelmError

_log = structlog.get_logger(__name__)

Watcher = Callable[[ClusterState], None]
"""Called whenever the state changed, and must not block. One that fails (OSError, RelmError) is called again."""


class Telling:
    """Tells of `state`, which its supervisor changes, in the cluster's folder and to `watcher`."""

    def __init__(self, state: ClusterState, folder: Path, watcher: Watcher | None) -> None:
        self._state, self._folder, self._watcher = state, folder, watcher
        self._told = False

    def tell(self) -> None:
        """Tell what is. Never raises: on a full disk, or with nobody to watch, the processes are kept all the same."""
        try:
            self._state.save(self._folder)
            if self._watcher is not None:
                self._watcher(self._state)
            self._told = True
        except (OSError, RelmError) as error:
            self._told = False
            _log.warning("state_not_written", folder=str(self._folder), error=str(error))

    def catch_up(self) -> None:
        """Tell what could not be told, if anything. Call now and then."""
        if not self._told:
            self.tell()

    def want(self, wish: Wish) -> None:
        """Have another wish, written down: whatever ends the supervisor while it changes, the next one goes on with it.

        Errors: `unreachable` when that cannot be done; then the wish is as it was.
        """
        try:
            self._state.model_copy(update={"wish": wish}).save(self._folder)
        except OSError as error:
            sentence = f"nothing was changed: see that the cluster's folder can be written: {error}"
            raise RelmError(Code.UNREACHABLE, sentence, folder=str(self._folder)) from error
        self._state.wish = wish
