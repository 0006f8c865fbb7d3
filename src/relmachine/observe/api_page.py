"""The HTTP interface for people: one HTML page made from the OpenAPI document, nothing loaded from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from relmachine.observe.page import document, table

Document = Mapping[str, Any]


def render_api(api: Document) -> str:
    """The page for the OpenAPI document `api`: every route with its parameters and answers, every model's members."""
    title = _text(api["info"]["title"])
    return document(
        f"{title} · HTTP",
        f"<header><h1>{title}</h1><span class='muted'>HTTP interface</span></header>"
        '<nav><a href="/">status</a><a href="/openapi.json">openapi.json</a></nav>'
        f"<h2>Routes</h2>{_routes(api)}"
        '<p>Every other answer is a <a href="#Problem">Problem</a>.</p>'
        f"<h2>Models</h2>{_models(api)}",
    )


def _routes(api: Document) -> str:
    return table(
        ("route", "meaning", "parameters", "answers"),
        (
            (
                f"<code>{_text(method.upper())} {_text(path)}</code>",
                _text(operation.get("summary", "")),
                "<br>".join(_parameter(item) for item in operation.get("parameters", [])),
                "<br>".join(
                    _response(status, item)
                    for status, item in sorted(operation["responses"].items())
                    if status.isdigit()
                ),
            )
            for path, operations in api["paths"].items()
            for method, operation in operations.items()
        ),
        "",
    )


def _parameter(item: Document) -> str:
    described = item.get("description")
    return f"<code>{_text(item['name'])}</code> {_text(described) if described else 'in the ' + _text(item['in'])}"


def _response(status: str, item: Document) -> str:
    content: Mapping[str, Document] = item.get("content", {})
    schemas: list[Document] = [kind["schema"] for kind in content.values() if kind.get("schema")]
    return f"{_text(status)}&nbsp;{_type(schemas[0]) if schemas else _text(item.get('description', ''))}"


def _models(api: Document) -> str:
    models: Mapping[str, Document] = api.get("components", {}).get("schemas", {})
    return "".join(
        f'<h3 id="{_text(name)}">{_text(name)}</h3><p>{_text(model.get("description", ""))}</p>{_members(model)}'
        for name, model in models.items()
    )


def _members(model: Document) -> str:
    members: Mapping[str, Document] = model.get("properties", {})
    rows: Sequence[tuple[str, ...]] = [
        (f"<code>{_text(name)}</code>", _type(item), _text(item.get("description", "")))
        for name, item in members.items()
    ]
    return table(("member", "type", "meaning"), rows, "")


def _type(schema: Document) -> str:
    """The type of a schema in a few words, linked where it is a model."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_type(item) for item in schema[union])
    if "const" in schema or "enum" in schema:
        return _text(" | ".join(str(value) for value in schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return _text(schema.get("type", "any"))


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
