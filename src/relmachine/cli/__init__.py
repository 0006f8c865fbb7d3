"""The command line: `relm`. Every command is a thin call; what it loads, it loads when it runs."""

from __future__ import annotations


def main() -> None:
    """Entry point of `relm`."""
    from relmachine.cli.app import app

    app(prog_name="relm")
