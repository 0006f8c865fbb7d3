"""What every control record has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Unknown members are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def threads(self) -> tuple[str, ...]:
        """The threads that it names, as tokens."""
        return ()
