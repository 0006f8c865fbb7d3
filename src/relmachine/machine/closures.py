"""What a closure looks like: its payload model, found in the annotation of its first parameter, and its arity."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import CodeType

from pydantic import BaseModel

from relmachine.algebra.identity import digest


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


def complaint(closure: Callable[..., object], *, has_payload: bool, awaits: bool = False) -> str | None:
    """What keeps `closure` from being called with payload and view, and with a run where it `awaits`; or None."""
    if not has_payload:
        return "annotate its first parameter with the Pydantic model of its payload"
    if inspect.isgeneratorfunction(closure) or inspect.isasyncgenfunction(closure):
        return "let it return one answer: it is a generator"
    if inspect.iscoroutinefunction(closure) and not awaits:
        return "make it a plain function, which is deterministic and awaits nothing"
    run = inspect.iscoroutinefunction(closure)
    try:
        inspect.signature(closure).bind(*((None, None, None) if run else (None, None)))
    except TypeError:
        what = (
            "three arguments, the payload, the view and the run" if run else "two arguments, the payload and the view"
        )
        return f"let it take {what}"
    return None


def code_digest(closure: Callable[..., object]) -> str:
    """Digest of what a function does, as the interpreter has it: another version of Python gives another."""
    code = getattr(inspect.unwrap(closure), "__code__", None)
    return digest("code", repr(closure) if code is None else _code_text(code))


def _code_text(code: CodeType) -> str:
    constants = [_code_text(item) if isinstance(item, CodeType) else repr(item) for item in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, code.co_varnames, constants))
