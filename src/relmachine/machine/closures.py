"""What a closure looks like: its payload model, found in the annotation of its first parameter, and its arity."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from pydantic import BaseModel


def payload_annotation(closure: Callable[..., object], local: Mapping[str, object]) -> type[BaseModel] | None:
    """The Pydantic model that annotates the first parameter, or None when there is none.

    Only this one annotation is resolved, in the function's module and then in `local`.
    """
    try:
        parameters = list(inspect.signature(closure).parameters.values())
    except (TypeError, ValueError):
        return None
    found: object = parameters[0].annotation if parameters else None
    if isinstance(found, str):
        space = {**getattr(closure, "__globals__", {}), **local}
        try:
            found = eval(found, space)
        except Exception:  # an annotation is any expression; one that fails names no model
            return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def complaint(closure: Callable[..., object], *, has_payload: bool) -> str | None:
    """What keeps `closure` from running as `closure(step, view)`, or None."""
    if not has_payload:
        return "annotate its first parameter with the Pydantic model of its payload"
    if inspect.iscoroutinefunction(closure) or inspect.isgeneratorfunction(closure):
        return "make it a plain function: a Process is deterministic and awaits nothing"
    try:
        inspect.signature(closure).bind(None, None)
    except TypeError:
        return "let it take two arguments, the payload and the view"
    return None
