"""The status page: what an `Overview` says, as HTML.

Everything that comes from a thread, a message or a machine passes through `html.text`, the only way from a value to
HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from relmachine.observe import page_lag, page_threads
from relmachine.observe.html import document, section, table, text
from relmachine.observe.overview import Overview

REFRESH_SECONDS = 5
"""How often the page loads itself again."""

_ROUTES = (
    ("/threads", "threads"),
    ("/rejected", "rejected"),
    ("/lag", "lag"),
    ("/status.json", "status.json"),
    ("/health", "health"),
    ("/docs", "API"),
)


def render(overview: Overview) -> str:
    """The page as HTML."""
    status = overview.status
    machine = text(status.get("machine", ""))
    return document(
        f"{machine} · relmachine",
        f"<header><h1>{machine}</h1><span class='muted'>version {text(status.get('version', ''))}</span>"
        f"{_phase(status)}</header>{_links()}{_figures(overview.figures)}"
        f"{section('Threads that moved last', page_threads.threads(overview.threads))}"
        f"{section('Steps refused last', _refused(overview))}"
        f'<div class="two">{section("Claims settled", _claims(overview.figures))}'
        f"{section('Gates', _gates(overview.gates))}</div>"
        f"{section('Lag', page_lag.lag(overview.lag))}"
        f"{section('Node', _node(status))}",
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
    )


def _phase(status: Mapping[str, object]) -> str:
    phase = str(status.get("phase", ""))
    mood = "good" if phase in ("READY", "WORKING") else "bad"
    return f'<span class="phase {mood}">{text(phase)}</span>'


def _links() -> str:
    anchors = "".join(f'<a href="{path}">{name}</a>' for path, name in _ROUTES)
    return f'<nav>{anchors}<span class="muted">MCP at <code>/mcp/</code></span></nav>'


def _figures(figures: Mapping[str, object] | None) -> str:
    if figures is None:
        return '<p class="muted">The store is too large to count within the limit of a query.</p>'
    cells = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>"
        for name, value in figures.items()
        if isinstance(value, int | float | str)
    )
    return f'<dl class="figures">{cells}</dl>'


def _claims(figures: Mapping[str, object] | None) -> str:
    """How many threads have each claim settled, those with most first."""
    found = _counts(figures, "settled_by_claim")
    threads = max([*found.values(), *_counts(figures, "threads").values(), 1])
    return table(
        ("claim", "#threads", ""),
        (
            (
                f"<code>{text(claim)}</code>",
                text(count),
                f'<meter min="0" max="{threads:d}" value="{count:d}">{text(count)}</meter>',
            )
            for claim, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
        ),
        "Nothing is settled yet.",
    )


def _counts(figures: Mapping[str, object] | None, name: str) -> dict[str, int]:
    value = (figures or {}).get(name)
    if isinstance(value, int):
        return {name: value}
    return cast(dict[str, int], value) if isinstance(value, Mapping) else {}


def _gates(gates: Mapping[str, Mapping[str, float]]) -> str:
    return table(
        ("gate", "#steps", "#questions", "#ms a question", "#µs a step"),
        (
            (
                text(gate),
                text(int(spent["steps"])),
                text(int(spent["questions"])),
                _each(spent["seconds"] * 1e3, spent["questions"]),
                _each(spent["seconds"] * 1e6, spent["steps"]),
            )
            for gate, spent in gates.items()
        ),
        "No gate has been timed.",
    )


def _each(total: float, count: float) -> str:
    return f"{total / count:,.1f}" if count else ""


def _refused(overview: Overview) -> str:
    """How many were refused by each code, then the last of them."""
    counts = _counts(overview.figures, "rejected_by")
    listed = ", ".join(f'<code class="bad">{text(code)}</code> {text(count)}' for code, count in counts.items())
    return (f"<p>{listed}</p>" if listed else "") + page_threads.rejections(overview.rejections)


def _node(status: Mapping[str, object]) -> str:
    headline = ("machine", "version", "phase", "gates")
    rows = ((f"<b>{text(key)}</b>", _value(value)) for key, value in status.items() if key not in headline)
    return f'<div class="pairs">{table((), rows, "")}</div>'


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        parts = cast(Mapping[object, object], value)
        return "<br>".join(f"{text(key)}: {_value(item)}" for key, item in parts.items())
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return f'<a href="{text(value)}">{text(value)}</a>'
    return f"<code>{text(value)}</code>"
