"""Bounds of tools in processes of their own, in one place; a tool's own are with the tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class ToolBounds:
    """What all calls together and each beside its tool's own bounds may take.

    `start_seconds_max` is for importing the machine's file, before the tool's own time begins.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    processes_max: int = 4
    start_seconds_max: float = 30.0
    end_seconds_max: float = 2.0
    arguments_bytes_max: int = 1024 * 1024
    file_bytes_max: int = 16 * 1024 * 1024
    open_files_max: int = 64
    children_max: int = 16
