"""`python -m relmachine`: the `relm` command."""

from __future__ import annotations

from relmachine.cli import main

if __name__ == "__main__":
    main()
