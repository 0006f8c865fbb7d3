"""Goal: looking at figures never burdens a node. Method: count how often the store is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.observe import figures as module
from relmachine.observe.figures import Figures
from relmachine.store import reading
from tests.unit.observe.stored_node import StoredNode, event, on_node


class Counting:
    """Stands for `reading.figures` and counts its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Code | None = None) -> None:
        self.calls, self._error, self._count = 0, error, reading.figures
        monkeypatch.setattr(module.reading, "figures", self)

    async def __call__(self, store: reading.Reads) -> dict[str, object]:
        self.calls += 1
        if self._error is not None:
            raise RelmError(self._error, "too much")
        return await self._count(store)


def test_a_store_at_rest_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    monkeypatch.setattr(module, "REST_PER_COUNT", 0.0)

    async def ask(node: StoredNode) -> None:
        figures = Figures(node)
        assert await figures.read() == await figures.read()
        assert counting.calls == 1
        await node.decide("case-2", event("receive", "1"))
        counted = await figures.read()
        assert counted is not None
        assert (counting.calls, counted["committed"]) == (2, 6)

    on_node(tmp_path, ask)


def test_a_busy_store_is_counted_only_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    monkeypatch.setattr(module, "REST_PER_COUNT", 1e9)

    async def ask(node: StoredNode) -> None:
        figures = Figures(node)
        await figures.read()
        for place in range(3):
            await node.decide("case-2", event("receive", str(place)))
            await figures.read()
        assert counting.calls == 1

    on_node(tmp_path, ask)


def test_a_store_too_large_to_count_gives_none_and_other_errors_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(node: StoredNode) -> None:
        Counting(monkeypatch, Code.LIMIT_EXCEEDED)
        assert await Figures(node).read() is None
        Counting(monkeypatch, Code.UNREACHABLE)
        with pytest.raises(RelmError):
            await Figures(node).read()

    on_node(tmp_path, ask)
