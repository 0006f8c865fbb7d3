"""Goal: a name is bound to what the page says, and an answer costs what is told. Method: every combination of who binds
what, and prices against answers.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage

from relmachine.engine.models import Models, NodeModels, Price
from relmachine.engine.models.patient import PatientModel
from relmachine.errors import Code, RelmError
from tests.unit.engine.models.asking import ask

OWN = FunctionModel(lambda messages, info: ModelResponse([TextPart("own")]))


@pytest.mark.parametrize(
    ("name", "author", "node", "binding"),
    [
        ("openai:gpt-5", {"openai:gpt-5": "a:b"}, NodeModels(default="c:d"), "openai:gpt-5"),
        ("default", {}, NodeModels(default="n:default"), "n:default"),
        ("default", {"default": "a:default"}, NodeModels(), "a:default"),
        ("default", {"default": "a:default"}, NodeModels(default="n:default"), "n:default"),
        ("small", {}, NodeModels(default="n:default"), "n:default"),
        ("small", {"small": "a:small"}, NodeModels(default="n:default"), "a:small"),
        ("small", {"small": "a:small"}, NodeModels(default="n:default", names={"small": "n:small"}), "n:small"),
        ("small", {"small": OWN}, NodeModels(default="n:default"), "author:small"),
        ("small", {"small": OWN}, NodeModels(names={"small": "test"}), "test"),
    ],
)
def test_who_binds_a_name(name: str, author: dict[str, object], node: NodeModels, binding: str) -> None:
    assert Models(author, node).binding(name) == binding


@pytest.mark.parametrize(
    ("author", "node", "says"),
    [({}, NodeModels(), "RELM_MODEL"), ({}, NodeModels(default="gpt"), "provider:model")],
)
def test_an_unbound_name_says_what_to_set(author: dict[str, object], node: NodeModels, says: str) -> None:
    with pytest.raises(RelmError, match=says) as caught:
        Models(author, node).binding("small")
    assert caught.value.code is Code.MODEL_UNBOUND


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        ("author:gone", "gone"),
        ("author:text", "text"),
        ("nobody:model", "nobody"),
        ("openai:gpt-5", "OPENAI_API_KEY"),
        ("groq:x", "groq"),
    ],
)
def test_a_binding_without_a_model_is_an_error_that_says_why(
    binding: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    async def scenario() -> None:
        found = Models({"text": "a:b"})
        with pytest.raises(RelmError, match=says) as caught:
            found.resolve(binding)
        assert caught.value.code is Code.MODEL_UNBOUND
        await found.close()

    asyncio.run(scenario())


def test_bindings_resolve_to_models() -> None:
    async def scenario() -> None:
        found = Models({"own": OWN}, NodeModels(base_url="http://127.0.0.1:9/v1"))
        assert (await ask(found.resolve("author:own"))).parts == [TextPart("own")]
        for binding, kind in (("test", TestModel), ("openai:local", OpenAIChatModel)):
            model = found.resolve(binding)
            assert isinstance(model, PatientModel)
            assert isinstance(model.wrapped, kind)
        await found.close()
        await found.close()

    asyncio.run(scenario())


def answer(model: str | None, provider: str = "openai") -> ModelResponse:
    usage = RequestUsage(input_tokens=2_000_000, output_tokens=1_000_000)
    return ModelResponse([TextPart("x")], usage=usage, model_name=model, provider_name=provider)


def test_what_an_answer_costs() -> None:
    found = Models({}, NodeModels(prices={"openai:local": Price(input=0.5, output=2.0)}))
    assert found.cost_of(answer("local"), "openai:local") == 3.0
    assert found.cost_of(answer("nobody-knows-it", "nobody"), "nobody:x") == 0.0
    assert found.cost_of(answer(None), "function:x") == 0.0
    assert found.cost_of(answer("gpt-4o"), "openai:gpt-4o") == pytest.approx(2 * 2.5 + 10.0)


def test_pydantic_ai_is_not_loaded_before_a_model_is_asked_for() -> None:
    code = (
        "import sys; from relmachine.engine.models import Models, NodeModels;"
        "assert Models({}, NodeModels(default='a:b')).binding('default') == 'a:b';"
        "sys.exit('pydantic_ai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
