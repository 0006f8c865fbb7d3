"""The HTTP interface for people: one HTML page made from the OpenAPI document, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relmachine.observe.html import document, section, table, text

Document = Mapping[str, Any]


def render_api(api: Document) -> str:
    """The page for the OpenAPI document `api`: every route with its parameters and answers, every model's members."""
    title = text(api["info"]["title"])
    return document(
        f"{title} · HTTP",
        f"<header><h1>{title}</h1><span class='muted'>HTTP interface</span></header>"
        '<nav><a href="/">status</a><a href="/openapi.json">openapi.json</a></nav>'
        + section("Routes", f'{_routes(api)}<p>Every other answer is a <a href="#Problem">Problem</a>.</p>')
        + section("Models", _models(api)),
    )


def _routes(api: Document) -> str:
    return table(
        ("route", "meaning", "parameters", "answers"),
        (
            (
                f"<code>{text(method.upper())} {text(path)}</code>",
                text(operation.get("summary", "")),
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
    return f"<code>{text(item['name'])}</code> {text(described) if described else 'in the ' + text(item['in'])}"


def _response(status: str, item: Document) -> str:
    content: Mapping[str, Document] = item.get("content", {})
    schemas: list[Document] = [kind["schema"] for kind in content.values() if kind.get("schema")]
    return f"{text(status)}&nbsp;{_type(schemas[0]) if schemas else text(item.get('description', ''))}"


def _models(api: Document) -> str:
    models: Mapping[str, Document] = api.get("components", {}).get("schemas", {})
    return "".join(
        f'<h3 id="{text(name)}">{text(name)}</h3><p>{text(model.get("description", ""))}</p>{_members(model)}'
        for name, model in models.items()
    )


def _members(model: Document) -> str:
    members: Mapping[str, Document] = model.get("properties", {})
    rows: Sequence[tuple[str, ...]] = [
        (f"<code>{text(name)}</code>", _type(item), text(item.get("description", ""))) for name, item in members.items()
    ]
    return table(("member", "type", "meaning"), rows, "")


def _type(schema: Document) -> str:
    """The type of a schema in a few words, linked where it is a model."""
    if "$ref" in schema:
        name = text(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_type(item) for item in schema[union])
    if "const" in schema or "enum" in schema:
        return text(" | ".join(str(value) for value in schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return text(schema.get("type", "any"))
