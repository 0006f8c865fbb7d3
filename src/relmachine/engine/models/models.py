"""The models that a node's runs ask."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, cast

from relmachine.engine.models.bindings import AUTHOR, NodeModels, bound
from relmachine.engine.models.bounds import ModelBounds
from relmachine.engine.models.cost import cost_of
from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model


class Models:
    """From names to bindings, which are frozen with a run, and from bindings to models.

    `author` are the bindings of the plan, `node` those of the node, which win. PydanticAI is loaded by the first model
    that is asked for: a node whose machine asks none never does. Of one event loop, as its HTTP client is.
    """

    def __init__(
        self,
        author: Mapping[str, object],
        node: NodeModels | None = None,
        bounds: ModelBounds | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._author = author
        self._node = node or NodeModels()
        self._bounds = bounds or ModelBounds()
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._models: dict[str, Model] = {}
        self._client: AsyncClient | None = None

    def binding(self, name: str) -> str:
        """What `name` is bound to: a model string, or `author:<name>`. Errors: `model_unbound`."""
        return bound(name, self._author, self._node)

    def resolve(self, binding: str) -> Model:
        """The model of a binding, always the same one. Errors: `model_unbound` when there is none to be had."""
        from relmachine.engine.models.patient import PatientModel

        if binding not in self._models:
            model = self._own(binding) if binding.startswith(AUTHOR) else self._made(binding)
            self._models[binding] = PatientModel(model, binding, self._bounds, self._clock, self._sleep, self._jitter)
        return self._models[binding]

    def cost_of(self, response: ModelResponse, binding: str) -> float:
        """US dollars for an answer of `binding`; 0.0 when nobody knows."""
        return cost_of(response, self._node.prices.get(binding))

    async def close(self) -> None:
        """Close the connections. Models of the author's own are his to close."""
        client, self._client = self._client, None
        self._models.clear()
        if client is not None:
            await client.aclose()

    def _own(self, binding: str) -> Model:
        from pydantic_ai.models import Model

        name = binding.removeprefix(AUTHOR)
        found = self._author.get(name)
        if isinstance(found, Model):
            return cast("Model", found)
        sentence = f"the machine binds {name!r} to no PydanticAI model: give `Machine.model` one, or a model string"
        raise RelmError(Code.MODEL_UNBOUND, sentence, model=name, type=type(found).__name__)

    def _made(self, binding: str) -> Model:
        from pydantic_ai.exceptions import UserError

        from relmachine.engine.models.http import bounded_client
        from relmachine.engine.models.providers import made

        self._client = self._client or bounded_client(self._bounds)
        try:
            return made(binding, self._node, self._client)
        except ImportError as error:
            sentence = f"the model {binding!r} needs a client that is not installed: {error}"
            raise RelmError(Code.MODEL_UNBOUND, sentence, model=binding) from error
        except (UserError, ValueError) as error:
            sentence = f"there is no model {binding!r}: {error}"
            raise RelmError(Code.MODEL_UNBOUND, sentence, model=binding) from error
