"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CONTEXT_DEFAULT = Path(".relm")

MachineArgument = Annotated[
    str, typer.Argument(metavar="MACHINE", help="A .yaml or .py file that declares a machine, or its folder.")
]
ThreadArgument = Annotated[
    str, typer.Argument(metavar="THREAD", help="A thread's token, or the name that its log gave it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; errors as JSON on stderr.")]
ContextOption = Annotated[
    Path, typer.Option("--context", metavar="FOLDER", envvar="RELM_CONTEXT", help="The data folder of a node.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Most rows to print.")]
