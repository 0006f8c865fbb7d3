"""HTML for people: a page, a table, and the one way from a value to text. Nothing is loaded from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib.resources import files

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Sent with every page: should a value ever escape as markup, a browser still runs and loads nothing."""

_STYLE = (files("relmachine.observe") / "page.css").read_text(encoding="utf-8")


def document(title: str, body: str, head: str = "") -> str:
    """A whole page in the common style; all three parts are HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{head}<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def section(title: str, body: str) -> str:
    """A part of a page under its title."""
    return f"<section><h2>{title}</h2>{body}</section>"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], otherwise: str) -> str:
    """A table of cells that are HTML already, or `otherwise` without rows.

    A title `#x` heads a column of numbers, `~x` one of text that needs room, `>x` one of links.
    """
    kinds = [_KINDS.get(title[:1], "") for title in titles]
    head = "".join(f"<th{kind}>{title.lstrip('#~>')}</th>" for title, kind in zip(titles, kinds, strict=True))
    body = "".join(_row(row, kinds) for row in rows)
    if not body:
        return f'<p class="muted">{otherwise}</p>'
    heading = f"<thead><tr>{head}</tr></thead>" if titles else ""
    return f'<div class="scroll"><table>{heading}<tbody>{body}</tbody></table></div>'


def text(value: object) -> str:
    """`value` as HTML text, safe inside elements and quoted attributes; integers with thousands apart."""
    return html.escape(f"{value:,}" if type(value) is int else str(value), quote=True)


_KINDS = {"#": ' class="number"', "~": ' class="wide"', ">": ' class="links"'}


def _row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    marked = zip(cells, [*kinds, *[""] * len(cells)], strict=False)
    return f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in marked)}</tr>"
