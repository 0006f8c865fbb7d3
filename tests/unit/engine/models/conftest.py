"""Models may be asked here: what they ask is a server of the test's own."""

from __future__ import annotations

import pytest
from pydantic_ai import models


@pytest.fixture(autouse=True)
def _asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests forbid it for the whole process."""
    monkeypatch.setattr(models, "ALLOW_MODEL_REQUESTS", True)
