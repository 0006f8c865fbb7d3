"""What `relm demo --agents` shows: three agents at an incident, told as it happens, and what their claims are worth."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relmachine.cli.demo import Shown, expected
from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from relmachine.cli.demo_story import Story
    from relmachine.machine.machine import Machine
    from relmachine.node.node import Node
    from relmachine.replay.difference import Replay

SECONDS_MAX = 900.0
"""How long the agents may take: a real model needs more than rules do."""

LINE = "2026-03-01T09:14:07Z ERROR checkout: cannot write /data/orders.db: no space left on device"
ASKED, CHECK, LAST = "hypothesise", "verify", "file_report"
INCIDENT: tuple[tuple[str, str, Mapping[str, object]], ...] = (
    ("monitor", "observe", {"service": "checkout", "symptom": "orders fail with status 500", "line": LINE}),
    ("monitor", "measure", {"disk_used": 0.99, "error_rate": 0.12, "minutes_since_deploy": 2880}),
    ("ada", ASKED, {}),
)
"""Who publishes which step. All others are proposed by steps."""

CONTESTED_BY, CONTEST, REASON = "grace", "contest_cause", {"reason": "that disk has been full for a year"}
PROPOSED, CONFIRMED = "cause_proposed", "cause_confirmed"


async def show(node: Node, machine: Machine, folder: Path, console: Console) -> Shown:
    """Let the agents work a new incident on `node`, contest what they found, and play it back."""
    from relmachine.cli.demo_story import telling
    from relmachine.cli.figures import figures_table
    from relmachine.store import reading

    thread = f"incident-{len(await reading.threads(node.store)) + 1}"
    figures: dict[str, object] = {}
    try:
        async with asyncio.timeout(SECONDS_MAX), telling(node, thread, console) as story:
            if await _work(story, console, figures):
                await _contest(story, console, figures)
            figures["steps"], figures["passes"] = story.counts(), await story.passes()
    except TimeoutError:
        sentence = f"the agents did not finish within {SECONDS_MAX:.0f} s: look at the model that they ask"
        raise RelmError(Code.UNREACHABLE, sentence, thread=thread) from None
    figures["playback"] = _played(await _replay(node, machine, thread), console)
    wanted = dict(expected(folder))
    if node.settings.model or node.settings.models:
        del wanted["passes"]  # they are those of the offline model
    console.print(figures_table(figures, wanted))
    return Shown(figures, wanted, {"thread": thread})


async def _work(story: Story, console: Console, figures: dict[str, object]) -> bool:
    """Whether the check confirmed what the model said."""
    console.print(f"[bold]An incident: {story.thread}[/]")
    for principal, step, data in INCIDENT:
        await story.publish(principal, step, data)
    if await story.until(ASKED):
        if not await story.proposed_by(ASKED):  # a real model may forget to
            await story.publish("ada", CHECK, {})
        await story.until(LAST)
    console.print("[bold]What the claims are worth[/]")
    figures["before the contest"] = claims = await story.stand()
    if claims[CONFIRMED] != "settled":
        console.print("[bold red]The check did not confirm what the model said.[/]")
        return False
    console.print(f"A model said {PROPOSED}: that holds, and stays open for ever.")
    console.print(f"A check says {CONFIRMED}: that settled.")
    return True


async def _contest(story: Story, console: Console, figures: dict[str, object]) -> None:
    console.print("[bold]A human contests[/]")
    await story.publish(CONTESTED_BY, CONTEST, REASON)
    await story.until(CONTEST)
    figures["transitions"] = await story.transitions(CONFIRMED, "superseded")
    figures["after the contest"] = await story.stand()
    await story.explain(CONFIRMED)


async def _replay(node: Node, machine: Machine, thread: str) -> Replay:
    from relmachine.replay.exporting import export
    from relmachine.replay.replayer import Replayer

    return await Replayer(machine).replay(await export(node.store, thread))


def _played(replay: Replay, console: Console) -> str:
    """Whether the playback, which asks no model, gave the same."""
    from relmachine.cli.output import cell

    console.print("[bold]Played back from what was recorded, without asking a model[/]")
    console.print(f"{replay.events} events, {replay.runs} runs, {replay.decisions} decisions", soft_wrap=True)
    for difference in replay.differences:
        console.print(f"[bold red]differs[/] {cell(str(difference))}", soft_wrap=True)
    return "identical" if replay.identical else f"{len(replay.differences)} differences"
