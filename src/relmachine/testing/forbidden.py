"""What a Process may not touch: clocks, randomness, the environment, files, processes, the network."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Mapping
from datetime import date
from types import CodeType, FrameType, FunctionType
from typing import cast

_MODULES = frozenset(("_socket", "_uuid", "posix", "resource", "select", "time"))
"""Modules of the interpreter whose functions tell of the world, or change it; but for those in `_HARMLESS`."""

_HARMLESS = frozenset(("posix.fspath", "posix._path_normpath", "time.strptime"))

_FUNCTIONS = frozenset(("builtins.input", "_thread.start_new_thread", "_thread.start_joinable_thread"))

_NOW = frozenset(("now", "utcnow", "today"))

_AUDITED = (
    "ctypes.",
    "fcntl.",
    "ftplib.",
    "glob.",
    "http.client.",
    "mmap.",
    "os.",
    "shutil.",
    "smtplib.",
    "socket.",
    "sqlite3.",
    "subprocess.",
    "tempfile.",
    "urllib.",
)

_PYTHON_NAMES = {"posix": "os", "_socket": "socket"}


def _code(function: object) -> CodeType:
    return cast(FunctionType, function).__code__


_ENVIRONMENT = type(os.environ)

_PYTHON: Mapping[CodeType, str] = {
    _code(_ENVIRONMENT.__getitem__): "os.environ",
    _code(_ENVIRONMENT.__iter__): "os.environ",
    _code(_ENVIRONMENT.__len__): "os.environ",
    _code(_ENVIRONMENT.copy): "os.environ",
    _code(uuid.uuid1): "uuid.uuid1",
    _code(uuid.uuid4): "uuid.uuid4",
}
"""Functions that are written in Python, by their code."""

_SEED = _code(random.Random.seed)
_GLOBAL = cast(random.Random, getattr(random.random, "__self__"))  # noqa: B009
"""The generator behind the functions of `random`."""


def in_c(function: object) -> str | None:
    """The name of a function of the interpreter that may not be called, else None."""
    name: str = getattr(function, "__name__", "")
    owner: object = getattr(function, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, date) and name in _NOW:
        return f"{owner.__name__}.{name}"
    if owner is _GLOBAL:
        return f"random.{name}"
    module = str(getattr(function, "__module__", ""))
    full = f"{module}.{name}"
    if full in _FUNCTIONS or (module in _MODULES and full not in _HARMLESS):
        return f"{_PYTHON_NAMES.get(module, module)}.{name}"
    return None


def in_python(frame: FrameType) -> str | None:
    """The name of a function written in Python that may not be called, else None."""
    if frame.f_code is _SEED and frame.f_locals.get("a") is None:
        return "random.Random() without a seed"
    return _PYTHON.get(frame.f_code)


def audited(event: str) -> bool:
    """Whether an audit event of the interpreter is of something that may not be done."""
    return event == "open" or event.startswith(_AUDITED)
