"""The tables and their functions, loaded from a text instead of the package: as a mutant would be."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from relmachine.kernel import lifecycle, transitions

LIFECYCLE = Path(str(lifecycle.__file__)).read_text(encoding="utf-8")
TRANSITIONS = Path(str(transitions.__file__)).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Two modules of which the second works on the first."""

    transitions: ModuleType
    lifecycle: ModuleType


def loaded(tables: str = TRANSITIONS, functions: str = LIFECYCLE) -> Loaded:
    """The texts as modules. Errors: whatever running them raises."""
    made = _module("mutant_transitions", tables)
    return Loaded(made, _module("mutant_lifecycle", functions.replace(transitions.__name__, made.__name__)))


def _module(name: str, text: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up, and the functions import the tables
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    return module
