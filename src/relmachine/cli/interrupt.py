"""What it means to end a command from outside: one line that says how to go on."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator

_AGAIN = "interrupted; run the same command again to go on"


class Interrupted(KeyboardInterrupt):
    """A command was ended by Ctrl-C or SIGTERM. `hint` says what running it again needs; where that does not go on
    with it, `sentence` says what does.
    """

    def __init__(self, hint: str = "", sentence: str = _AGAIN) -> None:
        super().__init__(hint)
        self.sentence = sentence + hint


@contextlib.contextmanager
def resuming(hint: str) -> Generator[None]:
    """Let an interrupt inside the block say `hint`."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(hint) from error


def tell_interrupted(error: KeyboardInterrupt, *, as_json: bool) -> None:
    """One line on stderr. It loads nothing: whoever pressed Ctrl-C wants it to end."""
    sentence = error.sentence if isinstance(error, Interrupted) else _AGAIN
    print(json.dumps({"interrupted": sentence}) if as_json else sentence, file=sys.stderr)
