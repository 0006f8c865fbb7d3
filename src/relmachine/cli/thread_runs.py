"""`relm thread runs`: the steps of a thread that ran outside their turn; one of them with its passes and decisions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, LimitOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from relmachine.store.reading import AttemptView, RunLine, RunView

_TEXT_MAX = 80
"""Characters of a prompt, an input or an output that people are shown; `--json` has them whole."""


@command
def runs(
    thread: ThreadArgument,
    *,
    request: Annotated[
        int | None, typer.Option("--request", min=1, metavar="N", help="Show the run of the step at this sequence.")
    ] = None,
    limit: LimitOption = 50,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List a thread's runs; with --request one run's passes and decisions."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json
    from relmachine.store import reading

    token = thread_token(thread)
    if request is not None:
        found = ask(context, lambda store: reading.run(store, token, request))
        print_json(run_json(found)) if as_json else print_run(out(), found)
        return
    lines = ask(context, lambda store: reading.runs(store, token, limit=limit))
    if as_json:
        print_json([asdict(line) for line in lines])
    else:
        out().print(runs_table(lines))


def runs_table(lines: Sequence[RunLine]) -> Table:
    """One row a run."""
    from relmachine.cli.output import cell, table

    names = ("#request", "step", "#attempts", "state", "reason", "#passes", "#tokens", "#cost", "model")
    made = table(*names)
    for line in lines:
        made.add_row(*(cell(getattr(line, name.removeprefix("#"))) for name in names))
    return made


def run_json(found: RunView) -> dict[str, object]:
    """The whole run as a JSON object."""
    told = {name: getattr(found, name) for name in ("payload", "evidence", "plan", "outcome")}
    return {**asdict(found.line), **told, "attempts_made": [_attempt_json(one) for one in found.attempts]}


def print_run(console: Console, found: RunView) -> None:
    """Where it stands, then passes and decisions of each attempt."""
    from relmachine.cli.output import cell

    line = found.line
    stands = f"{line.state} ({line.reason})" if line.reason else line.state
    console.print(f"[bold]{cell(line.step)}[/] at {line.request}: {cell(stands)}", soft_wrap=True)
    spent = f"{line.tokens} tokens, {line.cost} US dollars, {line.tool_calls} tool calls, {line.seconds:.1f} s"
    spent += f", {line.solver_seconds:.3f} s of the solver" if line.solver_seconds else ""
    console.print(cell(f"model {line.model or 'none'}; {spent}"), soft_wrap=True)
    for one in found.attempts:
        if one.failure is not None:
            console.print(cell(f"{one.failure.code}: {one.failure.sentence}"), soft_wrap=True)
        console.print(passes_table(one))
        console.print(decisions_table(one))


def passes_table(attempt: AttemptView) -> Table:
    """One row a pass of the attempt."""
    from relmachine.cli.output import cell, table

    title = f"Attempt {attempt.attempt}: {attempt.reason or 'it runs'}, passes"
    made = table("#number", "decision", "tool", "input", "output", "error", title=title)
    for one in attempt.passes:
        texts = (_cut(text) for text in (one.input, one.output, one.error))
        made.add_row(str(one.number), one.decision, cell(_cut(one.tool)), *(cell(text) for text in texts))
    return made


def decisions_table(attempt: AttemptView) -> Table:
    """One row for each thing that the attempt saw."""
    from relmachine.cli.output import cell, table

    made = table("#place", "kind", "name", "value", "error", "#tokens", title=f"Attempt {attempt.attempt}, decisions")
    for place, one in enumerate(attempt.decisions):
        made.add_row(
            str(place), one.kind, cell(one.name), cell(_cut(one.value)), cell(_cut(one.error)), str(one.tokens)
        )
    return made


def _attempt_json(one: AttemptView) -> dict[str, object]:
    import orjson

    return {
        "attempt": one.attempt,
        "began": one.began,
        "answered": one.answered,
        "reason": one.reason,
        "contributions": {name: orjson.loads(text) for name, text in one.contributions.items()},
        "follow_ups": [item.model_dump() for item in one.follow_ups],
        "failure": None if one.failure is None else one.failure.model_dump(),
        "passes": [item.model_dump() for item in one.passes],
        "decisions": [item.model_dump() for item in one.decisions],
    }


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"
