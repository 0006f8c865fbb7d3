"""Where a function is written, and the function at such a place in another process."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import cast

_MAIN = "relmachine_main"
"""Name under which another process imports the file that ran as `__main__`: it must not run again."""


def place_of(function: Callable[..., object]) -> dict[str, str] | None:
    """Module, file and qualified name; None when it cannot be found again: it is in a function, or in no file."""
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or "<" in function.__qualname__:
        return None
    name = _MAIN if function.__module__ == "__main__" else function.__module__
    return {"module": name, "file": str(Path(file).resolve()), "name": function.__qualname__}


def function_at(place: Mapping[str, str]) -> Callable[..., object]:
    """The function at `place`. A machine's tool stands where its function was written, and gives that.

    Errors: whatever importing the file raises.
    """
    found: object = _module(place["module"], Path(place["file"]))
    for name in place["name"].split("."):
        found = getattr(found, name)
    return cast(Callable[..., object], getattr(found, "function", found))


def _module(name: str, file: Path) -> ModuleType:
    """By its name where that leads to the file, so that relative imports work; else from the file, under the name."""
    spec = None
    with contextlib.suppress(ImportError, ValueError):
        spec = find_spec(name)
    if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file:
        return importlib.import_module(name)
    spec = spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)])  # as `machine.loader`
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
