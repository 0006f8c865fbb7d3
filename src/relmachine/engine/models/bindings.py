"""What the name of a model is bound to: by the machine's author, and over him by the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict, SecretStr

from relmachine.errors import Code, RelmError
from relmachine.machine.runs import DEFAULT_MODEL

AUTHOR = "author:"
"""Starts the binding of a name that the author bound to a model object: nothing else names that object."""

TEST = "test"
"""The one model string of PydanticAI without a provider."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens that go in, and that come out."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class NodeModels:
    """A node's word on models. Model strings are PydanticAI's, `provider:model`.

    `default` binds the name `default`, and every name that nobody else binds; `names` binds by name. With a `base_url`,
    `openai:…` is asked of that server, with `api_key` if it wants one. `prices` are by model string.
    """

    default: str = ""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    base_url: str | None = None
    api_key: SecretStr | None = None
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])


def bound(name: str, author: Mapping[str, object], node: NodeModels) -> str:
    """What `name` is bound to, as text: a model string, or `author:<name>`. A name with a colon is a model string.

    Errors: `model_unbound` when nothing binds the name, or something that is no model string.
    """
    if ":" in name:
        return name
    own = node.default if name == DEFAULT_MODEL else ""
    given = node.names.get(name) or own or author.get(name) or node.default
    if not given:
        sentence = (
            f"nothing binds the model {name!r}: set RELM_MODEL to a model string such as 'openai:gpt-5', or bind the "
            f"name in RELM_MODELS or by `Machine.model`"
        )
        raise RelmError(Code.MODEL_UNBOUND, sentence, model=name)
    if not isinstance(given, str):
        return AUTHOR + name
    if ":" not in given and given != TEST:
        sentence = f"the model {name!r} is bound to {given!r}, which is no model string: write it as 'provider:model'"
        raise RelmError(Code.MODEL_UNBOUND, sentence, model=name, binding=given)
    return given
