"""The command line: `relm`. Every command is a thin call; what it loads, it loads when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `relm`."""
    try:
        from relmachine.cli.app import app

        app(prog_name="relm")
    except KeyboardInterrupt as error:  # outside of any command: while modules are loaded
        from relmachine.cli.interrupt import tell_interrupted

        tell_interrupted(error, as_json="--json" in sys.argv)
        sys.exit(130)
