"""Models by name: what a name is bound to, and the model behind a binding, asked with patience and within bounds."""

from __future__ import annotations

from relmachine.engine.models.bindings import NodeModels, Price
from relmachine.engine.models.bounds import ModelBounds
from relmachine.engine.models.deadline import give_up_at
from relmachine.engine.models.models import Models

__all__ = ["ModelBounds", "Models", "NodeModels", "Price", "give_up_at"]
