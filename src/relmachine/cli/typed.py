"""Lines as they come: typed at a terminal, with editing and a history that is kept, or from a file or a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from pathlib import Path

_LINES_KEPT = 1000


class Typed:
    """The lines of standard input; `prompt` asks for the first of a statement, `further` for another."""

    def __init__(self, prompt: str, further: str) -> None:
        self._prompt, self._further = prompt, further
        self.by_hand = sys.stdin.isatty()

    def line(self, *, begun: bool) -> str | None:
        """The next line without its end, None after the last; `begun` says that it goes on with a statement.

        Raises KeyboardInterrupt for Ctrl-C.
        """
        if not self.by_hand:
            line = sys.stdin.readline()
            return line.removesuffix("\n") if line else None
        try:
            return input(self._further if begun else self._prompt)
        except EOFError:
            print()
            return None

    @contextlib.contextmanager
    def remembered(self) -> Generator[None]:
        """Let the arrow keys bring back what was typed in earlier sessions too."""
        try:
            import readline
        except ImportError:  # Windows has none
            readline = None
        if readline is None or not self.by_hand:
            yield
            return
        file = history_file()
        with contextlib.suppress(OSError):
            readline.read_history_file(file)
        readline.set_history_length(_LINES_KEPT)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                # Statements may hold what the store holds: nobody else may read them.
                os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
                readline.write_history_file(file)


def history_file() -> Path:
    """Where lines are kept: the user's state folder (XDG Base Directory: a relative XDG_STATE_HOME is ignored)."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".local" / "state") / "relmachine" / "sql_history"
