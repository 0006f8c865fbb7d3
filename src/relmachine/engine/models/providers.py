"""From a model string to the model: who serves it, and with which client he is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from httpx2 import AsyncClient
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from relmachine.engine.models.bindings import NodeModels

COMPATIBLE = ("openai", "openai-chat")
"""Providers of the chat completions form, in which llama.cpp, vLLM, Ollama and others answer too."""


def made(binding: str, node: NodeModels, client: AsyncClient) -> Model:
    """The model that the string `binding` names. Errors: ImportError, ValueError, or UserError of PydanticAI."""
    provider, _, name = binding.partition(":")
    if provider in COMPATIBLE and node.base_url is not None:
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        # An empty key would be looked for in the environment, and another service's key sent to this server.
        key = node.api_key.get_secret_value() if node.api_key is not None else "none"
        return OpenAIChatModel(name, provider=OpenAIProvider(base_url=node.base_url, api_key=key, http_client=client))
    return infer_model(binding, lambda name: _provider(name, client))


def _provider(name: str, client: AsyncClient) -> Provider[Any]:
    """The provider with the client that bounds answers, where it takes one."""
    if name.startswith("gateway/"):
        return infer_provider(name)
    found = cast(Callable[..., Provider[Any]], infer_provider_class(name))
    if "http_client" in inspect.signature(found).parameters:
        return found(http_client=client)
    return found()
