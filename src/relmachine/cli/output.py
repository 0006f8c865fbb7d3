"""What commands print: results on stdout, JSON or tables; progress and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 160
"""Columns when output goes to a file or a pipe, where nothing says how wide a line may be."""


def json_text(value: object) -> str:
    """`value` as indented JSON; what JSON cannot say as its text."""
    return _printable(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_json(value: object) -> None:
    """Print `value` as JSON on stdout."""
    print(json_text(value))


def out() -> Console:
    """The console on stdout. Made anew each time, because a test may exchange the stream."""
    return _console(stderr=False)


def errors() -> Console:
    """The console on stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else WIDTH_WITHOUT_TERMINAL)


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table. A column `#name` holds numbers, `@name` ids."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        kind = name[:1] if len(name) > 1 and name[0] in "#@" else ""
        add_column(made, name.removeprefix(kind), numbers=kind == "#", ids=kind == "@")
    return made


def add_column(made: Table, name: str, *, numbers: bool = False, ids: bool = False) -> None:
    """One more column. Numbers stand to the right; an id stays on its line, cut short where the terminal is narrow."""
    from rich.markup import escape

    made.add_column(
        escape(name),
        justify="right" if numbers else "left",
        overflow="ellipsis" if ids else "fold",
        no_wrap=ids,
        min_width=12 if ids else None,
    )


def rows_table(rows: Sequence[Mapping[str, object]], title: str | None = None) -> Table:
    """Rows of equal members as a table, in the order of the first one's members."""
    made = table(*(rows[0] if rows else ()), title=title)
    for row in rows:
        made.add_row(*(cell(value) for value in row.values()))
    return made


def cell(value: object) -> str:
    """A value as a table cell: text as it is, nothing for None, everything else as JSON."""
    from rich.markup import escape

    return "" if value is None else escape(_plain(value))


def witness_text(witness: Mapping[str, object]) -> str:
    """A witness on one line a member."""
    return "\n".join(f"  {name}: {_plain(value)}" for name, value in witness.items())


def _plain(value: object) -> str:
    return _printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _printable(text: str) -> str:
    # A damaged text has lone surrogates; as escapes they can be written, and are still JSON.
    return text.encode("utf-8", "backslashreplace").decode()
