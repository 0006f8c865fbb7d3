"""How far a replay is: two bars on stderr, and nothing at all when stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def replay_bars(steps: int) -> Generator[Callable[[int, int], None] | None]:
    """Yields what to call with (steps published, steps decided), or None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from relmachine.cli.output import errors

    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors(), transient=True) as bars:
        published, decided = (bars.add_task(name, total=steps) for name in ("published", "decided"))

        def show(steps_published: int, steps_decided: int) -> None:
            bars.update(published, completed=steps_published)
            bars.update(decided, completed=steps_decided)

        yield show
