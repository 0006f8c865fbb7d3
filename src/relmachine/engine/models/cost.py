"""What an answer of a model cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relmachine.engine.models.bindings import Price

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

_MILLION = 1_000_000


def cost_of(response: ModelResponse, price: Price | None = None) -> float:
    """US dollars: by `price`, else by the list of prices that PydanticAI brings along, 0.0 for a model not on it."""
    if price is not None:
        usage = response.usage
        return (usage.input_tokens * price.input + usage.output_tokens * price.output) / _MILLION
    if not response.model_name:
        return 0.0
    try:
        return float(response.cost().total_price)
    except (LookupError, ValueError):  # an unknown model; an answer that does not tell what it used
        return 0.0
