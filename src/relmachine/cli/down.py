"""`relm down`: end the cluster of a folder, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, JsonOption


@command
def down(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", envvar="RELM_CONTEXT", help="The folder of a cluster.")
    ] = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Drain the cluster: nodes first, servers last. What is in the folder stays, and `relm up` goes on with it."""
    from relmachine.cli.cluster_view import Drain
    from relmachine.cli.output import out, print_json
    from relmachine.cluster.ending import end

    ran = end(data, None if as_json else Drain())
    if as_json:
        print_json({"ran": ran})
    else:
        out().print("the cluster is down" if ran else "no cluster was running")
