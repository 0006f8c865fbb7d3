"""A place in a log that cannot become a step on any thread."""

from __future__ import annotations

from dataclasses import dataclass

from relmachine.errors import RelmError


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at `where` ("line 7", "trace 3"). Everything around it is read as if it were not there."""

    where: str
    error: RelmError

    def as_json(self) -> dict[str, object]:
        """Place, code, sentence and witness as a JSON object."""
        return {"where": self.where, **self.error.as_json()}
