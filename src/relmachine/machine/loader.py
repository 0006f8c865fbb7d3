"""Machines from files: a YAML file, a Python module, or a folder that holds one. The only file reading of the core."""

from __future__ import annotations

import sys
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from relmachine.errors import Code, RelmError
from relmachine.machine.machine import Machine
from relmachine.machine.yaml_form import parse_machine

FILE_BYTES_MAX = 4 * 1024 * 1024
"""Largest machine file read."""

_YAML = (".yaml", ".yml")


def load(path: str | Path) -> Machine:
    """The machine in `path`, broken or not: `check` tells which.

    `machine.yaml`; `machine.py`, with one `Machine` at module level, or `machine.py:name` to choose one; or a folder
    `permit/` with `permit.yaml` or `permit.py` in it (YAML first, since reading it runs nothing).
    Errors: `not_found`; `machine_invalid` when the file cannot be read as a machine, with what to change; OSError when
    it may not be read.
    """
    text = str(path)
    file, _, name = text.partition(":") if ".py:" in text else (text, "", "")
    found = _file(Path(file))
    if found.suffix in _YAML:
        return parse_machine(_read(found), lambda name: _read(_beside(found, name)))
    if found.suffix == ".py":
        return _only_machine(_module(found), name, found)
    raise RelmError(Code.MACHINE_INVALID, "name a .yaml or .py file that declares a machine", path=str(found))


def located(path: str | Path) -> str:
    """`path`, as `load` takes it, from whichever folder it is asked for."""
    file, colon, name = str(path).partition(":") if ".py:" in str(path) else (str(path), "", "")
    return f"{Path(file).resolve()}{colon}{name}"


def _file(path: Path) -> Path:
    if path.is_dir():
        for suffix in (*_YAML, ".py"):
            inside = path / f"{path.resolve().name}{suffix}"
            if inside.is_file():
                return inside
        sentence = f"put {path.resolve().name}.yaml or {path.resolve().name}.py into the folder, or name the file"
        raise RelmError(Code.NOT_FOUND, sentence, path=str(path))
    if not path.is_file():
        raise RelmError(Code.NOT_FOUND, f"there is no machine file {str(path)!r}", path=str(path))
    return path


def _beside(machine: Path, name: str) -> Path:
    path = machine.parent / name
    if not path.is_file():
        raise RelmError(Code.NOT_FOUND, f"there is no file {name!r} beside the machine's", path=str(path))
    return path


def _read(path: Path) -> str:
    if path.stat().st_size > FILE_BYTES_MAX:
        sentence = f"keep a machine file below {FILE_BYTES_MAX} bytes"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, path=str(path), file_bytes_max=FILE_BYTES_MAX)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RelmError(Code.MACHINE_INVALID, "write the machine file in UTF-8", path=str(path)) from error


def _module(path: Path) -> ModuleType:
    """`path` imported under a name of its own. Annotations are resolved through `sys.modules`, so it stays there.

    It is a package whose folder is its own, so that `from .beside import …` finds the files beside it.
    """
    resolved = path.resolve()
    resolved.open("rb").close()  # what may not be read is no fault of the machine's
    name = f"relmachine_file_{resolved.stem}_{sha256(str(resolved).encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(name, resolved, submodule_search_locations=[str(resolved.parent)])
    if spec is None or spec.loader is None:
        raise RelmError(Code.MACHINE_INVALID, "this file cannot be imported", path=str(path))
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except RelmError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        sentence = f"importing the machine failed: {type(error).__name__}: {error}"
        raise RelmError(Code.MACHINE_INVALID, sentence, path=str(path)) from error
    return module


def _only_machine(module: ModuleType, name: str, path: Path) -> Machine:
    machines = {key: value for key, value in vars(module).items() if isinstance(value, Machine)}
    if name:
        if name in machines:
            return machines[name]
        sentence = f"there is no machine called {name!r} at module level"
        raise RelmError(Code.NOT_FOUND, sentence, path=str(path), machines=sorted(machines))
    distinct = {id(value): value for value in machines.values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    sentence = "choose one machine as path.py:name" if distinct else "put one `Machine(...)` at module level"
    raise RelmError(Code.MACHINE_INVALID, sentence, path=str(path), machines=sorted(machines))
