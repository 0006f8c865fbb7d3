"""Which model is asked: the step's own, its fallback once that has failed for good, or one that a closure names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relmachine.engine.runs.running import Running

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class Choice:
    """`name` is what the record calls the model: a frozen binding, or the name that a closure gave."""

    def __init__(self, running: Running, named: str | None = None) -> None:
        frozen = running.request.frozen
        self.name = frozen.model if named is None else named
        self._running, self._named = running, named is not None
        self._fallback = "" if self._named else frozen.fallback

    @property
    def binding(self) -> str:
        """What is asked: frozen, or bound now for a name that a closure gave. Errors: `model_unbound`."""
        return self._running.models.binding(self.name) if self._named else self.name

    def resolve(self) -> Model:
        """The model to ask now. Errors: `model_unbound`."""
        return self._running.models.resolve(self.binding)

    @property
    def until(self) -> float | None:
        """When the fallback goes on at the latest, on the clock of `time.monotonic`; None when there is none."""
        return self._running.shares.primary if self._fallback else None

    def degrade(self) -> bool:
        """Go on with the fallback, for the rest of the run; False when there is none any more."""
        if not self._fallback:
            return False
        self.name, self._fallback = self._fallback, ""
        return True
