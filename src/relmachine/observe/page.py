"""The status page: plain HTML for people, complete without scripts, styles or images from elsewhere.

Everything that comes from a thread, a message or a machine passes through `_text`, the only way from a value to HTML.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from relmachine.kernel.thread_token import thread_label

REFRESH_SECONDS = 5
"""How often the page loads itself again."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Sent with the page: should a value ever escape as markup, a browser still runs and loads nothing."""

_LABEL_CHARACTERS_MAX = 80
_CELL_CHARACTERS_MAX = 400

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--good:#1a7f37;--bad:#b42318}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1.5rem;max-width:76rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1rem;margin-bottom:.5rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.05rem;margin:2rem 0 .5rem}
.phase{padding:.05rem .6rem;border:1px solid currentColor;border-radius:1rem;font-size:.8rem;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.muted{opacity:.7}
dl.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.6rem;margin:0}
dl.figures div{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .75rem}
dl.figures dt{font-size:.8rem;opacity:.75}
dl.figures dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600;white-space:nowrap}
td.number,th.number{text-align:right;padding-right:1.5rem;font-variant-numeric:tabular-nums}
td:first-child{white-space:nowrap;padding-right:1.5rem}
.pairs td:first-child{width:1%}
code{font:.85em ui-monospace,monospace;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem}
h3{font-size:1rem;margin:1.5rem 0 0}
"""


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """One thread as the page shows it."""

    thread: str
    sequence: int
    depth: int
    normal_form: str
    settled: Sequence[str]


@dataclass(frozen=True, slots=True)
class RejectionRow:
    """One refused step as the page shows it."""

    thread: str
    sequence: int
    step: str
    gate: str
    code: str
    sentence: str


def render(
    status: Mapping[str, object],
    figures: Mapping[str, object] | None,
    threads: Sequence[ThreadRow],
    rejections: Sequence[RejectionRow],
) -> str:
    """The page. `status` is the node's, `figures` the store's (None when not counted); lists come newest first."""
    machine, version = _text(status.get("machine", "")), _text(status.get("version", ""))
    return document(
        f"{machine} · relmachine",
        f'<header><h1>{machine}</h1><span class="muted">version {version}</span>{_phase(status)}</header>'
        f"{_links()}"
        f"<h2>Figures</h2>{_figures(figures)}"
        f"<h2>Last threads</h2>{_threads(threads)}"
        f"<h2>Last rejections</h2>{_rejections(rejections)}"
        f"<h2>Node</h2>{_node(status)}"
        f'<p class="muted">This page loads itself again every {REFRESH_SECONDS} seconds.</p>',
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
    )


def document(title: str, body: str, head: str = "") -> str:
    """A whole HTML document in the page's style; all three parts are HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{head}<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], otherwise: str) -> str:
    """A table of cells that are HTML already, or `otherwise` without rows. A title `#x` heads a column of numbers."""
    kinds = [' class="number"' if title.startswith("#") else "" for title in titles]
    head = "".join(f"<th{kind}>{title.lstrip('#')}</th>" for title, kind in zip(titles, kinds, strict=True))
    body = "".join(_row(row, kinds) for row in rows)
    if not body:
        return f'<p class="muted">{otherwise}</p>'
    heading = f"<thead><tr>{head}</tr></thead>" if titles else ""
    return f'<div class="scroll"><table>{heading}<tbody>{body}</tbody></table></div>'


def _row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    marked = zip(cells, [*kinds, *[""] * len(cells)], strict=False)
    return f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in marked)}</tr>"


def _text(value: object) -> str:
    """`value` as HTML text, safe inside elements and quoted attributes."""
    return html.escape(f"{value:,}" if type(value) is int else str(value), quote=True)


def _phase(status: Mapping[str, object]) -> str:
    phase = str(status.get("phase", ""))
    mood = "good" if phase in ("READY", "WORKING") else "bad"
    return f'<span class="phase {mood}">{_text(phase)}</span>'


def _links() -> str:
    places = (
        ("/threads", "threads"),
        ("/rejected", "rejected"),
        ("/status.json", "status.json"),
        ("/health", "health"),
        ("/docs", "API"),
    )
    anchors = "".join(f'<a href="{path}">{name}</a>' for path, name in places)
    return f"<nav>{anchors}<span>MCP at <code>/mcp/</code></span></nav>"


def _figures(figures: Mapping[str, object] | None) -> str:
    if figures is None:
        return '<p class="muted">The store is too large to count within the limit of a query.</p>'
    shown = {name: value for name, value in figures.items() if isinstance(value, int | float | str)}
    cells = "".join(
        f"<div><dt>{_text(name.replace('_', ' '))}</dt><dd>{_text(value)}</dd></div>" for name, value in shown.items()
    )
    groups = (_breakdown(name, parts) for name, value in figures.items() if (parts := _pairs(value)) is not None)
    return f'<dl class="figures">{cells}</dl>{"".join(groups)}'


def _pairs(value: object) -> Mapping[object, object] | None:
    return cast(Mapping[object, object], value) if isinstance(value, Mapping) else None


def _breakdown(name: str, parts: Mapping[object, object]) -> str:
    if not parts:
        return ""
    listed = ", ".join(f"{_text(key)} <b>{_text(value)}</b>" for key, value in parts.items())
    return f'<p><span class="muted">{_text(name.replace("_", " "))}:</span> {listed}</p>'


def _threads(threads: Sequence[ThreadRow]) -> str:
    return table(
        ("thread", "#sequence", "#steps", "normal form (tiers in order, steps of a tier commute)", "settled claims"),
        (
            (
                _thread_link(line.thread),
                _text(line.sequence),
                _text(line.depth),
                f"<code>{_text(_clipped(line.normal_form, _CELL_CHARACTERS_MAX))}</code>",
                _text(_clipped(", ".join(line.settled), _CELL_CHARACTERS_MAX)),
            )
            for line in threads
        ),
        "No thread yet: publish a step to <code>/threads/&lt;thread&gt;/steps</code>.",
    )


def _rejections(rejections: Sequence[RejectionRow]) -> str:
    return table(
        ("thread", "#sequence", "step", "gate", "code", "what to do"),
        (
            (
                _thread_link(line.thread),
                _text(line.sequence),
                f"<code>{_text(line.step)}</code>",
                _text(line.gate),
                f'<code class="bad">{_text(line.code)}</code>',
                _text(line.sentence),
            )
            for line in rejections
        ),
        "No step was refused.",
    )


def _node(status: Mapping[str, object]) -> str:
    headline = ("machine", "version", "phase")
    rows = ((f"<b>{_text(key)}</b>", _value(value)) for key, value in status.items() if key not in headline)
    return f'<div class="pairs">{table((), rows, "")}</div>'


def _value(value: object) -> str:
    parts = _pairs(value)
    if parts is not None:
        return "<br>".join(f"{_text(key)}: {_value(item)}" for key, item in parts.items())
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return f'<a href="{_text(value)}">{_text(value)}</a>'
    return f"<code>{_text(value)}</code>"


def _thread_link(token: str) -> str:
    label = thread_label(token)
    return f'<a href="/threads/{_text(quote(token, safe=""))}">{_text(_clipped(label, _LABEL_CHARACTERS_MAX))}</a>'


def _clipped(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else f"{text[:characters_max]}…"
