"""YAML read so that mistakes show: the line that is not YAML, and keys given twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from relmachine.errors import Code, RelmError


def read_yaml(text: str) -> tuple[object, list[tuple[str, int]]]:
    """The YAML value in `text`, and the keys given twice with their lines. Errors: `machine_invalid`."""
    try:
        loader = _Loader(text)
        return loader.get_single_data(), loader.repeated
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        advice = ": indent with spaces, not with tabs" if "\\t" in str(error.problem) else ""
        raise RelmError(Code.MACHINE_INVALID, f"line {line} is not YAML: {error.problem}{advice}", line=line) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RelmError(Code.MACHINE_INVALID, f"this is not YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """YAML that remembers keys given twice instead of letting the last win."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[tuple[str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated.append((key.value, key.start_mark.line + 1))
                seen.add(key.value)
        return super().construct_mapping(node, deep)
