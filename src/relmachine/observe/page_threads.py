"""The parts of the status page that tell of threads: where their claims stand, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from relmachine.kernel.thread_token import thread_label
from relmachine.observe.html import table, text
from relmachine.observe.overview import RejectionRow, ThreadRow

_LABEL_CHARACTERS_MAX = 80
_CELL_CHARACTERS_MAX = 400


def threads(found: Sequence[ThreadRow]) -> str:
    """Threads with their claims by standing: settled, open (they hold, and may fall), superseded (they had settled)."""
    return table(
        (
            "label",
            "#sequence",
            "#depth",
            "~normal form (steps of a tier commute)",
            "~settled",
            "~open",
            "~superseded",
            ">more",
        ),
        (
            (
                thread_link(line.thread),
                text(line.sequence),
                text(line.depth),
                f"<code>{text(_clipped(line.normal_form, _CELL_CHARACTERS_MAX))}</code>",
                *(_names(names) for names in (line.settled, line.open, line.superseded)),
                thread_link(line.thread, "section") + " " + thread_link(line.thread, "events"),
            )
            for line in found
        ),
        "No thread yet: publish a step to <code>/threads/&lt;thread&gt;/steps</code>.",
    )


def rejections(found: Sequence[RejectionRow]) -> str:
    """Refused steps, with what refused them and why."""
    return table(
        ("label", "#sequence", "step", "gate", "code", "~sentence"),
        (
            (
                thread_link(line.thread),
                text(line.sequence),
                f"<code>{text(line.step)}</code>",
                text(line.gate),
                f'<code class="bad">{text(line.code)}</code>',
                text(line.sentence),
            )
            for line in found
        ),
        "No step was refused.",
    )


def _names(claims: Sequence[str]) -> str:
    return text(_clipped(", ".join(claims), _CELL_CHARACTERS_MAX))


def thread_link(token: str, part: str = "") -> str:
    """A link to a thread, or to a part of it."""
    shown = part or _clipped(thread_label(token), _LABEL_CHARACTERS_MAX)
    path = f"/threads/{quote(token, safe='')}{'/' if part else ''}{part}"
    return f'<a href="{text(path)}">{text(shown)}</a>'


def _clipped(long: str, characters_max: int) -> str:
    return long if len(long) <= characters_max else f"{long[:characters_max]}…"
