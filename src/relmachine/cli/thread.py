"""`relm thread`: the threads of a store, and one thread's lineage, history, claims and section."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, LimitOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from relmachine.cli.standings import Standings
    from relmachine.store.reading import EventLine, Lineage, Reads, SectionView, ThreadLine, ThreadStanding

threads = typer.Typer(help="Threads: list them, show one.", no_args_is_help=True, rich_markup_mode=None)


@threads.command("list")
@command
def list_threads(
    *, limit: LimitOption = 50, context: ContextOption = CONTEXT_DEFAULT, as_json: JsonOption = False
) -> None:
    """List the threads that moved last, the newest first."""
    from relmachine.cli.asking import ask
    from relmachine.cli.lagging import thread_lags
    from relmachine.cli.output import out, print_json
    from relmachine.store import reading

    found = ask(context, lambda store: reading.newest_threads(store, limit))
    lags = thread_lags(context, [line.thread for line in found])
    behind = {thread: lag.behind for thread, lag in lags.items()}
    if as_json:
        print_json([{**asdict(line), "behind": behind.get(line.thread)} for line in found])
    else:
        out().print(_list_table(found, behind))


@threads.command("show")
@command
def show_thread(
    thread: ThreadArgument, *, context: ContextOption = CONTEXT_DEFAULT, as_json: JsonOption = False
) -> None:
    """Show a thread: its history as tiers, how each claim stands and why, and its section."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.lagging import thread_lags
    from relmachine.cli.output import out, print_json

    token = thread_token(thread)
    shown = ask(context, lambda store: thread_view(store, token))
    lag = thread_lags(context, [token]).get(token)
    if as_json:
        told = {"behind": None, "oldest_seconds": None} if lag is None else lag.model_dump()
        print_json({**shown.as_json(), **{name: told[name] for name in ("behind", "oldest_seconds")}})
    else:
        shown.print_on(out())
        if lag is not None and lag.behind:
            out().print(f"{lag.behind} more steps wait to be decided, the oldest for {lag.oldest_seconds} s")


async def thread_view(store: Reads, thread: str) -> ThreadView:
    """All that is shown of a thread. Errors: `not_found`."""
    from relmachine.cli.standings import standings
    from relmachine.store import reading

    return ThreadView(
        await reading.thread(store, thread),
        await reading.events(store, thread),
        await standings(store, thread),
        await reading.section(store, thread),
        await reading.section(store, thread, settled_only=True),
        await reading.lineage(store, thread),
        await reading.standing(store, thread),
        await reading.open_runs(store, thread),
    )


class ThreadView:
    """A thread for people: its standing, events, section, and the section of its settled events."""

    def __init__(
        self,
        standing: ThreadStanding,
        events: Sequence[EventLine],
        claims: Standings,
        section: SectionView,
        settled_section: SectionView,
        lineage: Lineage,
        told: str,
        runs_open: int,
    ) -> None:
        self.standing, self.events, self.claims = standing, events, claims
        self.section, self.settled_section, self.lineage = section, settled_section, lineage
        self.told, self.runs_open = told, runs_open

    def as_json(self) -> dict[str, object]:
        """The view as a JSON object."""
        standing = self.standing
        return {
            **asdict(standing.line),
            **asdict(self.lineage),
            "standing": self.told,
            "runs_open": self.runs_open,
            "normal_form": standing.normal_form,
            "fiber": standing.fiber,
            "section_digest": standing.section_digest,
            "settled": list(standing.settled),
            "claims": self.claims.as_json(),
            "events": [asdict(event) for event in self.events],
            "fields": dict(self.section.fields),
            "settled_fields": dict(self.settled_section.fields),
        }

    def print_on(self, console: Console) -> None:
        """Print tiers, claims, section."""
        from relmachine.cli.output import cell

        line = self.standing.line
        console.print(f"[bold]{cell(line.label)}[/]  history {line.history}", soft_wrap=True)
        console.print(f"depth {line.depth}, tier {line.tier}, rejections {line.rejections}, sequence {line.sequence}")
        for sentence in [*lineage_lines(self.lineage), *standing_lines(self.told, self.runs_open, line.thread)]:
            console.print(cell(sentence), soft_wrap=True)
        console.print(cell(self.standing.normal_form), style="dim", soft_wrap=True)
        console.print(tiers_table(self.events))
        console.print(self.claims.table())
        console.print(section_table(self.section, self.settled_section))


def lineage_lines(lineage: Lineage) -> list[str]:
    """Where the thread comes from and where it went, in words."""
    lines: list[str] = []
    if (forked := lineage.forked) is not None:
        at = f"history {forked.at} (sequence {forked.at_sequence})"
        lines.append(f"forked from {forked.source} at {at} by {forked.principal}; root {lineage.root}")
    lines += [f"merged in {one.source}: {one.events} events at sequence {one.sequence}" for one in lineage.merged]
    if (closed := lineage.closed) is not None:
        lines.append(f"closed at sequence {closed.sequence}: merged into {closed.into}")
    return lines


def standing_lines(told: str, runs_open: int, thread: str) -> list[str]:
    """What the thread was told ahead of its steps, and which of them run outside their turns, in words."""
    lines = {
        "paused": [f"paused: its steps wait; `relm thread resume {thread}` lets it go on"],
        "closed": ["closed on the control lane: it takes no more steps"],
        "cancelled": ["cancelled: nothing changes its history any more"],
    }.get(told, [])
    return [*lines, f"{runs_open} runs are open: `relm thread runs {thread}`"] if runs_open else lines


def tiers_table(events: Sequence[EventLine]) -> Table:
    """One row a tier: the steps of a tier commute, and each comes after what it depends on in the tiers before."""
    from relmachine.cli.output import cell, table

    made = table("#tier", "steps, with their sequences in the stream", title="History")
    placed = sorted(events, key=lambda event: (event.tier, event.step, event.sequence))
    for tier, members in groupby(placed, key=lambda event: event.tier):
        made.add_row(str(tier), cell("   ".join(f"{event.step}@{event.sequence}" for event in members)))
    return made


def section_table(section: SectionView, settled: SectionView | None = None) -> Table:
    """One row a field: its value, and beside it the value that settled events alone give."""
    from relmachine.cli.output import cell, table

    if settled is None:
        made = table("field", "value", title="Settled section" if section.settled_only else "Section")
        for name, value in section.fields.items():
            made.add_row(name, cell(value))
        return made
    made = table("field", "value", "settled value", title="Section")
    for name, value in section.fields.items():
        made.add_row(name, cell(value), cell(settled.fields.get(name)))
    return made


def _list_table(found: Sequence[ThreadLine], behind: Mapping[str, int]) -> Table:
    """`behind` are steps that wait to be decided, as a running node tells; without one there is no such column."""
    from relmachine.cli.output import cell, table

    made = table("label", "#depth", "#tier", "#rejections", "#sequence", *(["#behind"] if behind else []), "@history")
    for line in found:
        counts = [line.depth, line.tier, line.rejections, line.sequence, *([behind.get(line.thread)] if behind else [])]
        made.add_row(cell(line.label), *(cell(count) for count in counts), line.history)
    return made
