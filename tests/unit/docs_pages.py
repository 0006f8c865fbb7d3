"""The pages of the documentation as data: their code blocks, their tables, their headings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS_A_NODE = "<!-- needs a node -->"
"""The line before a block that is only compiled, not run."""

_FENCE = re.compile(rf"^({re.escape(NEEDS_A_NODE)}\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


class Block(NamedTuple):
    """A fenced block. `runs` unless the page says that it needs a node."""

    language: str
    text: str
    runs: bool


def page(name: str) -> str:
    """The text of a page of `docs/`, or of the README."""
    return (ROOT / name if name == "README.md" else ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str, *languages: str) -> list[Block]:
    """The fenced blocks in `text` in any of `languages`, in order."""
    found = (Block(language, body, not marker) for marker, language, body in _FENCE.findall(text))
    return [block for block in found if block.language in languages]


def prose(text: str) -> str:
    """`text` without its fenced blocks."""
    return _FENCE.sub("", text)


def section(text: str, heading: str) -> str:
    """What stands under `heading` (`## Limits`), up to the next heading of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    (start,) = re.finditer(rf"^{re.escape(heading)}$", text, re.MULTILINE)
    end = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, start.end())
    return text[start.end() : end.start() if end else len(text)]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row in `text`, without heads and rules."""
    lines = [line.strip().strip("|").split("|") for line in prose(text).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return [row for index, row in enumerate(cells) if not _is_rule(row) and not _is_head(cells, index)]


def code(cell: str) -> list[str]:
    """What stands in backticks in `cell`."""
    return _CODE.findall(cell)


def names(text: str, heading: str, column: int = 0) -> list[str]:
    """What stands in backticks in a column of the tables under `heading`."""
    return [name for row in rows(section(text, heading)) for name in code(row[column])]


def anchors(text: str) -> set[str]:
    """The anchors of the headings in `text`, as the site makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def _is_rule(row: list[str]) -> bool:
    return all(set(cell) <= set("-: ") and cell for cell in row)


def _is_head(cells: list[list[str]], index: int) -> bool:
    return index + 1 < len(cells) and _is_rule(cells[index + 1])
